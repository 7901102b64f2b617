from firstwords.tokenizer.bpe import IM_END, IM_START, TOOL_RESPONSE, TOOL_RESPONSE_END, Tokenizer


def targets(ids: list[int], tokenizer: Tokenizer) -> list[bool]:
    start, end = tokenizer.special(IM_START), tokenizer.special(IM_END)
    opens, closes = tokenizer.special(TOOL_RESPONSE), tokenizer.special(TOOL_RESPONSE_END)
    assistant = tokenizer.encode("assistant\n")
    found = [False] * len(ids)
    place = 0
    while place < len(ids):
        place += 1
        if ids[place - 1] != start or ids[place : place + len(assistant)] != assistant:
            continue
        place += len(assistant)
        given = False
        while True:
            given = given or ids[place] == opens
            found[place] = not given
            given = given and ids[place] != closes
            place += 1
            if ids[place - 1] == end:
                break
    return found
