"""Lab 2: mark the tokens of a conversation that are targets in supervised finetuning.

Write the function below. First read docs/labs/02-loss-mask.md.
"""

from firstwords.tokenizer.bpe import Tokenizer


def targets(ids: list[int], tokenizer: Tokenizer) -> list[bool]:
    r"""Return for each token of a conversation whether it is a target: True for what the assistant
    writes itself, including the token that ends its turn; False for all that is given to it.

    `tokenizer.special("<|im_start|>")` is the id of a special token; the others are <|im_end|>,
    <tool_call>, </tool_call>, <tool_response> and </tool_response>. Decoded, a conversation is
        <|im_start|>system\nBe brief.<|im_end|>\n
        <|im_start|>user\n12*34?<|im_end|>\n
        <|im_start|>assistant\n<tool_call>12*34</tool_call><tool_response>408</tool_response>It is
        408.<|im_end|>\n
    (without the line breaks between the turns), and "assistant\n" is always encoded separately.
    """
    raise NotImplementedError("TODO: go through the ids and keep track of who is speaking")
