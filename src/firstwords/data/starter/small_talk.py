"""Small talk and questions about the assistant itself."""

from firstwords.data.starter.fact_questions import as_typed
from firstwords.data.starter.rng import Rng, choose, randint
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import make_answer, make_sentence
from firstwords.data.starter.turn import Turn, draw_turn

# Sections of `talk.txt`: what users ask about the assistant.
_IDENTITY_TOPICS = (
    *("who", "called", "made", "robot", "can", "small", "mistakes", "always"),
    *("program", "online"),
)
_LEAD_INS = ("", "", "", "Hello! ", "Hi. ", "Excuse me, ", "One question: ", "Tell me, ", "So, ")


def scripted_turn(rng: Rng, name: str) -> Turn:
    """Return a turn in the wording of a section of `talk.txt`, such as "hello" or "thanks"."""
    wording = table_sections("talk.txt")
    return Turn(
        make_sentence(rng, wording[f"{name} ask"]), make_answer(rng, wording[f"{name} answer"])
    )


def typed_casually(rng: Rng, turn: Turn) -> Turn:
    """Return the turn with its question as people type it, sometimes without capitals."""
    return turn._replace(question=as_typed(rng, turn.question, lead_in=False))


def small_talk(rng: Rng) -> list[Turn]:
    """Ask how the assistant is or what it likes, ask for a joke, or be sad or rude."""
    name = choose(rng, ("how", "sad", "like", "joke", "joke", "rude", "harm"))
    turns = [typed_casually(rng, scripted_turn(rng, name))]
    if name == "how" and rng() < 0.5:
        turns.append(scripted_turn(rng, "fine"))
    return turns


def identity(rng: Rng) -> list[Turn]:
    """Ask one to three questions about the assistant."""
    return [identity_turn(rng) for _ in range(randint(rng, 1, 3))]


def identity_turn(rng: Rng, held_out: bool = False) -> Turn:
    """Ask who the assistant is, who made it or what it can do.

    Half of the held-out questions are in words that only the exam uses.
    """
    wording = table_sections("talk.txt")
    topic = choose(rng, _IDENTITY_TOPICS)
    in_exam_words = held_out and rng() < 0.5
    heading = f"{topic} {'ask anew' if in_exam_words else 'ask'}"

    def make(rng: Rng) -> Turn:
        question = _with_lead_in(rng, make_sentence(rng, wording[heading]))
        answer = make_answer(rng, wording[f"{topic} answer"])
        return Turn(question, answer, "mentions", wording[f"{topic} key"])

    return make(rng) if in_exam_words else draw_turn(rng, make, held_out)


def _with_lead_in(rng: Rng, question: str) -> str:
    """Return the question, sometimes with a word or two before it."""
    lead_in = choose(rng, _LEAD_INS)
    if lead_in.endswith((", ", ": ")) and not question.startswith("I "):
        question = question[:1].lower() + question[1:]
    return lead_in + question
