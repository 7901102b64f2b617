"""Reading comprehension: a scene or a short story, and questions about it."""

from firstwords.data.starter.grading import Rule
from firstwords.data.starter.rng import Rng, choose, randint
from firstwords.data.starter.scenes import make_scene
from firstwords.data.starter.stories import StoryQuestion, make_story
from firstwords.data.starter.templates import fill_template
from firstwords.data.starter.turn import Turn

_READING_PROMPTS = (
    "{t}\n\n{q}",
    "[Read this|Read this story|Here is a story]: {t}\n\n{q}",
    "{t}\n\n[Question: |Answer this: |]{q}",
)


def reading(rng: Rng, held_out: bool = False) -> list[Turn]:
    """Ask several questions about a text.

    More questions per text teach more about looking things up, for the same number of tokens.
    """
    if rng() < 0.6:
        text, questions = make_scene(rng, randint(rng, 2, 6), held_out)
    else:
        story = make_story(rng, brief=True, n_questions=randint(rng, 2, 4), held_out=held_out)
        text, questions = story.text, story.questions
    first, *others = (_to_turn(question) for question in questions)
    prompt = fill_template(rng, choose(rng, _READING_PROMPTS), {"t": text, "q": first.question})
    return [first._replace(question=prompt), *others]


def _to_turn(question: StoryQuestion) -> Turn:
    # An answer that starts with the keywords ("Tom gave Mira the kite") has another meaning if they
    # come later in it.
    starts = question.answer.startswith(question.keywords)
    rule: Rule = "starts_with" if starts else "answers"
    return Turn(question.question, question.answer, rule, (question.keywords,))
