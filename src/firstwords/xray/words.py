"""What each view shows and what to look for: the same words in the terminal and on pages, in the
order in which they teach."""

WORDS = {
    "tokens": (
        "Tokens",
        "The text as the model gets it: pieces from its vocabulary, each with its number and the "
        "bytes it stands for. Look for words that are one piece because training saw them often, "
        "and for rare ones that fall apart.",
    ),
    "loss": (
        "Loss",
        "How much each token surprised the model, in nats: 0 where it was certain of it, more the "
        "less it expected it. Look at names, at the first words of sentences, and at what had been "
        "said before.",
    ),
    "similar": (
        "Similar tokens",
        "The tokens whose embeddings, the vectors that a model starts from, point in nearly the "
        "same direction. Look for words of one kind: nobody sorted them, they were used alike.",
    ),
    "attention": (
        "Attention",
        "Where each head looks: a row for every token, a column for every token up to it, the "
        "fuller the more. Look for a line beside the diagonal (the token before), for a dark first "
        "column (a resting place, called a sink) and, in a text that repeats, for heads that find "
        "what came after the same token last time (induction).",
    ),
    "lens": (
        "Logit lens",
        "What the model would say comes next if it ended after each layer: its own output head "
        "reads the state in between. Look for the layer at which the right token comes up.",
    ),
    "next": (
        "Next token",
        "How likely each token is to come next, as the model says and after the settings. A low "
        "temperature sharpens, a high one flattens; top-k keeps the k likeliest, top-p the "
        "likeliest that make up that share. Look at what is cut: it can never be drawn.",
    ),
    "cache": (
        "KV cache",
        "The keys and values of all tokens so far, kept while the model writes. Look how the cache "
        "grows by as many bytes with every token, and how few tokens the model reads for it.",
    ),
}


def views() -> dict[str, dict[str, str]]:
    return {name: {"title": title, "says": says} for name, (title, says) in WORDS.items()}
