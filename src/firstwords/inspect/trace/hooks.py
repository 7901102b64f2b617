"""What each operation of a training step is for: one hook for each kind of operation.

A hook is named after what it matches: a module of a block or of the model ("self_attn.q_proj"), an
operation in one of our functions ("Block.forward.add"), or a whole function ("apply_rope"). An
operation without a hook is listed with the operation before it, or with the one whose argument it
computes. A module without a hook is shown without an explanation.
"""

from typing import NamedTuple


class Hook(NamedTuple):
    """`part` is the part of the step that shows it, "" for that of the hook before; `shape` names
    the dimensions of the result."""

    part: str
    title: str
    shape: str
    why: str


PARTS = {
    "text": (
        "Text to tokens",
        "A model reads numbers. The tokenizer, trained in phase 1, gives every frequent sequence "
        "of bytes its own number.",
    ),
    "row": (
        "A row and its targets",
        "Training asks the same question at every position of a row: which token comes next?",
    ),
    "start": ("Into the model", "From here on each token is a vector."),
    "block": (
        "Block",
        "Attention moves information between tokens; the MLP then processes each token on its own. "
        "Both add their result to the token's vector (the residual stream).",
    ),
    "end": (
        "Logits and loss",
        "The output head turns the last vector of each token into a score for every token of the "
        "vocabulary.",
    ),
    "backward": (
        "Backward",
        "Automatic differentiation visits the same operations in reverse order and computes for "
        "every parameter in which direction the loss grows.",
    ),
    "muon": (
        "Muon, for the matrices of the blocks",
        "The optimizer starts with empty state, as in the first step of every stage, so the update "
        "comes from this text alone.",
    ),
    "adamw": (
        "AdamW, for the embedding, the output head and the norms",
        "These are tables and scales rather than linear maps, so AdamW scales the step of each "
        "number separately.",
    ),
}

ROW = "rows x tokens"
STATES = "rows x tokens x channels"
OF_HEADS = "rows x heads x tokens x channels of a head"
OF_KEYS = "rows x key-value heads x tokens x channels of a head"
HIDDEN = "rows x tokens x hidden units"
BLOCKS = "blocks x rows x columns"

# Functions whose caller is shown too: it says what the call is for.
SHARED_FUNCTIONS = ("RMSNorm.forward", "apply_rope", "plain_attention", "orthogonalize")

ATTENTION = Hook(
    "block",
    "attention",
    OF_HEADS,
    "Each query is compared with the keys of its own and all earlier positions; the values are "
    "averaged, weighted by how well query and key match.",
)

HOOKS = {
    # --- text: plain Python functions, so only their results are shown ---
    "Tokenizer.token_bytes": Hook(
        "text",
        "bytes",
        "bytes",
        "Any text is a sequence of UTF-8 bytes, and each of the 256 bytes is a token, so there are "
        "no unknown words.",
    ),
    "Tokenizer.encode": Hook(
        "text",
        "tokens",
        "tokens",
        "The merges learned in training join bytes into the longest known tokens, which shortens "
        "the sequence.",
    ),
    "encode_texts": Hook(
        "text",
        "document",
        "tokens",
        "A special token marks the start of a document, because rows hold several documents.",
    ),
    "encode_conversations": Hook(
        "text",
        "conversation",
        "tokens",
        "Special tokens mark who speaks; a mask marks the tokens that the assistant writes.",
    ),
    "TextRows.row": Hook(
        "row",
        "inputs and targets",
        "tokens",
        "The targets are the inputs shifted by one: at every position the target is the next "
        "token.",
    ),
    "PackedRows.row": Hook(
        "row",
        "inputs and targets",
        "tokens",
        "In supervised finetuning only the assistant's tokens are targets, so the model learns to "
        "answer and not to ask. In midtraining every token is a target.",
    ),
    "BatchSampler.batch": Hook(
        "row",
        "batch",
        ROW,
        "A batch has several rows; this trace uses one. Which rows it has depends only on seed and "
        "step, so a run can resume at any step.",
    ),
    # --- forward ---
    "accumulate.sum": Hook(
        "row",
        "number of targets",
        "",
        "The loss is the mean over the targets of the whole batch, however many micro-batches it "
        "is split into.",
    ),
    "select_targets.flatten": Hook(
        "",
        "rows joined",
        "",
        "The loss treats all positions alike, whichever row they are in.",
    ),
    "select_targets.nonzero": Hook(
        "row",
        "positions with a target",
        "positions",
        "Only these go through the output head, the largest matrix product of a small model. They "
        "are padded to a multiple of an eighth of the batch, which keeps memory from fragmenting.",
    ),
    "Transformer.hidden.getitem": Hook(
        "start",
        "angles of the positions",
        "tokens x channels of a head",
        "Cosines and sines for the rotation of queries and keys: the model's only information "
        "about positions.",
    ),
    "embed_tokens": Hook(
        "start",
        "embedding",
        STATES,
        "A token id selects a row of a table: what the model knows about the token without its "
        "context.",
    ),
    "input_layernorm": Hook(
        "block",
        "norm before attention",
        STATES,
        "Every vector is scaled to the same length, so that large outputs of earlier blocks do not "
        "dominate.",
    ),
    "self_attn.q_proj": Hook(
        "block", "queries", OF_HEADS, "What each token looks for in the tokens before it."
    ),
    "self_attn.k_proj": Hook(
        "block",
        "keys",
        OF_KEYS,
        "What each token offers to be found by.",
    ),
    "self_attn.v_proj": Hook(
        "block",
        "values",
        OF_KEYS,
        "What each token passes on to the tokens that find it.",
    ),
    "self_attn.q_norm": Hook(
        "block",
        "norm of the queries",
        OF_HEADS,
        "All queries get the same length, so attention scores stay bounded whatever the weights "
        "are.",
    ),
    "self_attn.k_norm": Hook(
        "block",
        "norm of the keys",
        OF_KEYS,
        "The same for the keys: attention compares directions only.",
    ),
    "apply_rope": Hook(
        "block",
        "rotary position",
        OF_HEADS,
        "Queries and keys are rotated by an angle that grows with their position, so their product "
        "depends on how far apart they are.",
    ),
    "fused_attention.scaled_dot_product_attention": ATTENTION,
    "plain_attention": ATTENTION,
    "self_attn.o_proj": Hook(
        "block",
        "output of attention",
        STATES,
        "Combines the results of all heads into one update of the token's vector.",
    ),
    "Block.forward.add": Hook(
        "block",
        "residual connection",
        STATES,
        "The update is added and overwrites nothing, so information and gradients have a direct "
        "path through all blocks.",
    ),
    "post_attention_layernorm": Hook(
        "block", "norm before the MLP", STATES, "The same as before attention."
    ),
    "mlp.gate_proj": Hook(
        "block",
        "gate of the MLP",
        HIDDEN,
        "Each hidden unit detects one pattern in the token's vector.",
    ),
    "MLP.forward.silu": Hook(
        "block",
        "gate activation",
        HIDDEN,
        "SiLU nearly closes a gate below zero. Without a nonlinear function the layers would "
        "collapse into one matrix.",
    ),
    "mlp.up_proj": Hook(
        "block", "content of the MLP", HIDDEN, "What each hidden unit contributes if it is open."
    ),
    "MLP.forward.mul": Hook(
        "block", "gated content", HIDDEN, "Open units pass their content, closed units pass none."
    ),
    "mlp.down_proj": Hook(
        "block",
        "output of the MLP",
        STATES,
        "Writes the contributions of all units into the token's vector. The MLPs hold most of a "
        "model's facts.",
    ),
    "norm": Hook(
        "end",
        "final norm",
        STATES,
        "The output head compares directions, not the length of the sum, which grows with every "
        "block.",
    ),
    "lm_head": Hook(
        "end",
        "logits",
        "positions x tokens of the vocabulary",
        "A token's logit is the product of its row of the output head and the vector.",
    ),
    "Transformer.loss.cross_entropy": Hook(
        "end",
        "cross-entropy",
        "",
        "Softmax turns logits into probabilities; the loss of a target is minus the logarithm of "
        "its probability, in nats.",
    ),
    "accumulate.div": Hook(
        "end", "mean loss", "", "The number that training reduces: the mean over all targets."
    ),
    # --- backward ---
    "_backward.backward": Hook(
        "backward",
        "backward pass",
        "",
        "Every matrix product of the forward pass takes two here, one for the gradient of the "
        "weights and one for that of the input.",
    ),
    "Optimizer.gradient_norm": Hook(
        "backward",
        "norm of all gradients",
        "",
        "A curve of the report: an unusual batch or an unstable run shows as a spike.",
    ),
    "Optimizer.copy_weights": Hook(
        "backward",
        "copy of the weights",
        "",
        "Every tenth step measures how far the weights move; the copy is the starting point.",
    ),
    # --- optimizer ---
    "learning_rate": Hook(
        "muon",
        "learning rate",
        "",
        "The rate rises at first (warmup), stays constant, then falls (decay); each stage scales "
        "the whole schedule.",
    ),
    "Optimizer._muon.lerp_": Hook(
        "muon",
        "momentum",
        "",
        "A running mean of gradients: what batches agree on adds up, noise cancels out.",
    ),
    "Optimizer._muon.cat": Hook(
        "muon",
        "blocks of one shape",
        BLOCKS,
        "Each head and every 64 hidden units form a matrix of their own; all matrices of one shape "
        "are processed together, which is faster.",
    ),
    "orthogonalize": Hook(
        "muon",
        "orthogonal update",
        BLOCKS,
        "All directions of the update get about the same size, so that rare directions are learned "
        "too.",
    ),
    "Optimizer._muon.add_": Hook(
        "muon", "weight update", "", "The matrices move against the gradient, by the learning rate."
    ),
    "Optimizer._adam.lerp_": Hook(
        "adamw", "mean of gradients", "", "As the momentum: what batches agree on adds up."
    ),
    "Optimizer._adam.addcmul_": Hook(
        "adamw",
        "mean of squared gradients",
        "",
        "How large each number's gradient usually is.",
    ),
    "Optimizer._adam.addcdiv_": Hook(
        "adamw",
        "AdamW update",
        "",
        "Each gradient is divided by its usual size, so that rare words learn as fast as common "
        "ones.",
    ),
    "Optimizer.update_norms": Hook(
        "adamw",
        "norm of the update",
        "",
        "A curve of the report: relative to the weights, 0.1% to 1% is usual.",
    ),
}
