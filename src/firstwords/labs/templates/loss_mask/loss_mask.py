"""Lab 2: say which tokens of a conversation finetuning learns to write.

One function is missing here. Read docs/labs/02-loss-mask.md first.
"""

from firstwords.tokenizer import Tokenizer


def targets(ids: list[int], tokenizer: Tokenizer) -> list[bool]:
    """For each token of a conversation whether it is a target: True for what the assistant writes
    itself, also the token that ends its turn; False for everything that is given to it.

    `tokenizer.special("<|im_start|>")` is the id of a special token; the others are <|im_end|>,
    <tool_call>, </tool_call>, <tool_response> and </tool_response>. Decoded, a conversation is
        <|im_start|>system\nBe brief.<|im_end|>\n
        <|im_start|>user\n12*34?<|im_end|>\n
        <|im_start|>assistant\n<tool_call>12*34</tool_call><tool_response>408</tool_response>It is
        408.<|im_end|>\n
    (without the line breaks between the turns), and "assistant\n" is always encoded by itself.
    """
    raise NotImplementedError("TODO: go through the ids, and know who is speaking")
