"""Riddles: the assistant asks, the user guesses, asks for a hint, or gives up."""

from firstwords.data.starter.everyday.typed import TypingStyle, is_exam_only, type_out
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import capitalize, make_answer, make_sentence
from firstwords.data.starter.turn import Turn


def riddle(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Ask for a riddle, guess, and hear the solution; perhaps another riddle after it."""
    text, solution, hint, *wrong = choose(rng, table_rows("riddles.txt"))
    slots = {"q": text, "v": solution, "h": hint, "w": choose(rng, wrong)}

    def turn(name: str) -> Turn:
        return _turn(rng, style, name, slots)

    turns = [turn("ask")]
    chance = rng()
    if chance < 0.2:
        turns.append(turn("hint"))
    if chance < 0.45:
        turns.append(turn("wrong"))
        turns.append(turn("right") if rng() < 0.5 else turn("give up"))
    elif chance < 0.8:
        turns.append(turn("right"))
    else:
        turns.append(turn("give up"))
    return turns


def _turn(rng: Rng, style: TypingStyle, name: str, slots: dict[str, str]) -> Turn:
    wording = table_sections("riddle_talk.txt")
    text = make_sentence(rng, wording[name], slots)
    for _ in range(20):  # a guess such as "A clock." has few wordings
        if not is_exam_only(text):
            break
        text = make_sentence(rng, wording[name], slots)
    answer = make_answer(rng, wording[f"{name} answer"], slots)
    return Turn(type_out(rng, style, text, slots.values()), capitalize(answer))
