"""Title and description of each view, in the terminal and on pages; those that one looks for most
often come first."""

VIEWS = {
    "text": (
        "Text",
        "What the model read, and what it wrote after it.",
    ),
    "next": (
        "Next token",
        "The probability of each next token, from the model and after the sampling settings. A low "
        "temperature sharpens the distribution, a high one flattens it; top-k keeps the k most "
        "likely tokens, top-p the most likely that add up to that probability. Tokens that are cut "
        "off are never sampled.",
    ),
    "model": (
        "Model",
        "The way of a token through the model. Every layer reads the residual stream, the token's "
        "vector, and adds to it: first what attention finds at other tokens, then what the MLP "
        "makes of it. The percentages compare lengths of vectors: what a part adds, and the stream "
        "before the layer.",
    ),
    "attention": (
        "Attention",
        "Where each head attends: a row for every token, a column for every token up to it, darker "
        "for more attention. Look for a line next to the diagonal (the token before), a dark first "
        "column (an attention sink) and, in a text that repeats, heads that attend to the token "
        "after an earlier occurrence of the same token (induction).",
    ),
    "lens": (
        "Logit lens",
        "What the model would predict if it ended after each layer: its output head applied to the "
        "state in between. Look for the layer at which the right token appears.",
    ),
    "loss": (
        "Loss",
        "How unexpected each token was, in nats: 0 if the model was certain of it, more the less "
        "probable it was. Look at names, at the first words of sentences, and at words that occur "
        "again.",
    ),
    "cache": (
        "KV cache",
        "The keys and values of all tokens so far, kept while the model generates. The cache grows "
        "by the same number of bytes with every token, and only the new token runs through the "
        "model.",
    ),
    "tokens": (
        "Tokens",
        "The text as the model reads it: tokens of its vocabulary, each with its id and the bytes "
        "it stands for. Frequent words are one token; rare words split into several.",
    ),
    "similar": (
        "Similar tokens",
        "The tokens whose embeddings, the vectors at the model's input, point in nearly the same "
        "direction. Words used in the same way end up together, without anyone sorting them.",
    ),
}


def view_texts() -> dict[str, dict[str, str]]:
    return {name: {"title": title, "says": says} for name, (title, says) in VIEWS.items()}
