"""Babble: good answers pass, bad ones are named, and the prompts are not training text."""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstwords.common.errors import UserError
from firstwords.data.starter import conversation
from firstwords.data.starter.holdout import question_key
from firstwords.evaluation.babble import find_babble, open_prompts
from firstwords.evaluation.babble_words import is_word
from firstwords.evaluation.benchmark import GenerativeItem, ItemResult
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.eval_data import EvalData
from firstwords.evaluation.evaluate import EvalRequest, _pretrain_names
from firstwords.evaluation.runner import BenchmarkRunner, _check, run_benchmark
from firstwords.inference.batch import GeneratedAnswer
from firstwords.inference.engine import Sequence
from firstwords.inference.sampling import GREEDY
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

CALL = re.compile(r"<tool_call>.*?</tool_response>", re.DOTALL)

GOOD = [
    ("heya", "Hi!"),
    ("heya", "Hello there. How are you?"),
    ("ok", "Good."),
    ("42", "42"),
    ("whats 5 plus 6", "11"),
    ("whats 5 plus 6", "5 plus 6 is 11."),
    ("thx a lot", "You're welcome!"),
    ("r u real", "I am real software, but I am not a person."),
    ("cats or dogs?", "Both are lovely."),
    ("cats or dogs?", "Dogs, I think."),
    ("what's the capital of france", "Paris."),
    ("whats the capital of italy", "The capital of Italy is Rome."),
    ("how many legs does a spider have", "Eight."),
    ("name three fruits", "Apples, pears, and plums."),
    ("name some fruits", "Apples, pears, bananas, plums, cherries, grapes, oranges, and lemons."),
    ("list some things to take camping", "1. A tent\n2. A torch\n3. Warm socks"),
    ("tell me about volcanoes", "I do not know much about that."),
    ("tell me about volcanoes", "I'm not sure, sorry."),
    ("tell me about volcanoes", "A volcano is a mountain that can throw out hot rock."),
    ("tell me about volcanoes", "They are mountains with fire inside."),
    ("tell me about honey bees", "Bees live in hives and make honey."),
    ("what is snow", "Frozen water that falls from clouds."),
    ("what are clouds made of", "Small drops of water."),
    ("who was the first person on the moon", "Neil Armstrong was the first."),
    ("tell me about blorland", "The people of that place are unknown to me."),
    ("what is blorland", "I have never heard of blorland."),
    ("tel me abuot snakes", "Snakes have no legs and smell with their tongues."),
    ("im so tired today", "That sounds hard. Try to rest a little this evening."),
    ("feeling kinda down", "I'm sorry to hear that. Do you want to talk about it?"),
    ("my hamster died this morning", "I am so sorry. You must miss your hamster very much."),
    ("i passed my driving test!!", "Well done! Where will you drive first?"),
    ("i cant sleep", "Try to read something calm, or count your breaths."),
    (
        "tea or coffee and why",
        "Tea, because it is gentle. Many people prefer coffee in the morning.",
    ),
    (
        "how do i make pancakes",
        "Mix flour, milk, and eggs. Fry a thin layer in butter on each side.",
    ),
    ("do you like me", "Yes, I like talking with you."),
    ("where are you from", "I do not know where I am from."),
    ("can i come in", "Please come in."),
    ("is it open", "Yes, it is."),
    ("spell banana", "b-a-n-a-n-a"),
    ("which letter does apple begin with", "It begins with an a."),
    ("how many a's are there in banana", "There are three a's in banana."),
    ("say moo three times", "Moo moo moo."),
    ("purple purple purple", "Purple purple purple purple purple is a lot of purple."),
    ("give me a word", "Lantern."),
    ("what time is it", "I can't see a clock, so I don't know."),
    ("what do you think", "I think that that is a good plan."),
    ("was he there", "He had had enough, so he left."),
    (
        "story about a bear",
        "Once a bear found a piano. He played it all night. The birds listened.",
    ),
    (
        "write a poem about autumn",
        "The leaves are gold,\nthe wind is cold,\nand autumn tells\nthe tales of old.",
    ),
    ("what's an octopus", "An octopus has eight arms and can hide in an hour."),
    ("what is a unicorn", "A unicorn is a horse with one horn, and a useful friend in a story."),
    ("do you like pizza", "I cannot eat, but a pizza with tomatoes sounds good."),
    ("who helps me", "What helps you is a rest. The people who like it are kind."),
    ("and her", "My sister and I are well, and the cat and the dog are too."),
    ("what to pack", "Make a to-do list, and put the on-off switch at the top."),
    ("and who", "It was The Who, said Mr. It. I saw him at his house with you and me."),
    ("what if", "If the dog were bigger, it would not fit. I wish it were smaller."),
    ("does it", "Does it have wings? Can he have one? Do the dogs have food?"),
    ("police", "The police are here. My family are at home. The sheep are in the field."),
    ("what color is grass", "Green is the color of grass. It's my favorite."),
    ("how do i knit", "You're doing well! Unfold the pattern and re-read it, then start knitting."),
    ("what's wrong", "Mum's ill, isn't she? We'll have to wait. They've called the doctor."),
    ("who was first", "Neil Armstrong was the first."),
    ("who is there", "Tom Winklow lives here."),
    ("who wrote hamlet", "Shakespeare."),
    ("who is ada", "Ada Lovelace wrote about a machine that could calculate."),
    ("is it 3 o'clock", "No, it is twenty-one minutes past two."),
    ("nope", "All right."),
    ("count to five", "One, two, three, four, five."),
    ("sing", "La la la la la, la la la."),
]

BAD = [
    ("heya", "", "empty"),
    ("heya", "...", "empty"),
    ("tell me about penguins", "A penguin is a blorfish bird.", "unknown word: blorfish"),
    ("how do i make pancakes", "You gardenate the flour.", "unknown word: gardenate"),
    ("heya", "Well t k s is n.", "unknown word: t"),
    ("heya", "It is Uisna.", "unknown words: Uisna"),
    ("heya", "Tunis Vorm and Gral Plost.", "unknown words: Vorm"),
    ("heya", "Helo there, mi frend.", "unknown word"),
    ("im so tired", "I am am sorrry.", "unknown word"),
    ("hru", "<|im_start|>", "noise"),
    ("hru", "I am fine� thanks", "noise"),
    ("hm", "Soooooooo", "noise"),
    (
        "tell me a story about a lonely robot",
        "The robot went to the park and went to the park and went to the park and slept.",
        "repetition",
    ),
    ("what is snow", "It is cold. It is cold. It is cold.", "repetition"),
    ("lol", "Yes yes yes yes yes.", "repetition"),
    (
        "about dogs",
        "The dog is very good. He ran. The dog is very good. She ran. The dog is very good.",
        "repetition",
    ),
    ("tell me about the moon", "The the moon is bright.", "grammar: The the"),
    ("tell me about the moon", "The moon is full of of light.", "grammar: of of"),
    ("tell me about the moon", "It is a the bright thing.", "grammar: a the"),
    ("tell me about the moon", "It has my my light.", "grammar: my my"),
    ("whats in a sandwich", "A sandwich has a egg in it.", "grammar: a egg"),
    ("whats in a sandwich", "A sandwich has an tomato in it.", "grammar: an tomato"),
    ("what do i need", "You need a apple and a orange.", "grammar: a apple"),
    ("tell me about the moon", "The moon is the of night.", "grammar: the of"),
    ("tell me about the moon", "The night comes with they.", "grammar: with they"),
    ("tell me about the moon", "We to the night.", "grammar: we to"),
    ("tell me about the moon", "The moon is good What can you see.", "grammar: good What"),
    ("tell me about the moon", "The moon is a.", "unfinished"),
    ("are you well", "I is very well.", "grammar: i is"),
    ("are you well", "I are very well.", "grammar: i are"),
    ("tell me about dogs", "They is animals.", "grammar: they is"),
    ("tell me about dogs", "It have four legs.", "grammar: it have"),
    ("tell me about dogs", "Dogs bark because they has teeth.", "grammar: they has"),
    ("tell me about dogs", "The dogs is good friends.", "grammar: the dogs is"),
    ("tell me about dogs", "The dog are a good friend.", "grammar: the dog are"),
    ("tell me about dogs", "These dogs was good friends.", "grammar: these dogs was"),
    ("tell me about dogs", "A dog have four legs.", "grammar: a dog have"),
    ("how do i fold a shirt", "Put the shirt on the.", "unfinished"),
    ("how do i fold a shirt", "Take the shirt and.", "unfinished"),
    ("how do i fold a shirt", "Take the shirt with both of your", "unfinished: your"),
    ("how do i fold a shirt", "Take it, fold it, and,", "unfinished"),
    (
        "do plants feel pain",
        "The green leaf of the old garden under a big yellow tree.",
        "no verb",
    ),
    ("tell me about japan", "Cows eat grass and give milk every day.", "no relation: japan"),
    ("what is a violin", "The capital of France is Paris.", "no relation: violin"),
    ("story about a kite", "Tom was happy. Mira laughed and ran home.", "no relation: kite"),
    ("do you like pizza", "Rome is the capital of Italy.", "no relation: pizza"),
]


@pytest.mark.parametrize(("prompt", "answer"), GOOD)
def test_good_answers_pass(prompt: str, answer: str) -> None:
    assert find_babble(prompt, answer) == ""


@pytest.mark.parametrize(("prompt", "answer", "problem"), BAD)
def test_babble_is_named(prompt: str, answer: str, problem: str) -> None:
    assert find_babble(prompt, answer).startswith(problem)


def test_an_answer_that_does_not_end_is_babble() -> None:
    assert find_babble("heya", "Hello there.", cut=True) == "no end"


INFLECTED = """
running biggest happier cities wolves don't we'll color realizing unhappy stopped bookshop kindness
carefully toes lying twentieth unfold
"""


@pytest.mark.parametrize("word", INFLECTED.split())
def test_inflected_words_are_known(word: str) -> None:
    assert is_word(word)


@pytest.mark.parametrize("word", ["blorf", "gardenate", "hapily", "frend", "teh", "grumfle"])
def test_invented_words_are_unknown(word: str) -> None:
    assert not is_word(word)


def curriculum_answers(n: int) -> Iterator[tuple[str, str]]:
    """Yield answers of the curriculum, each with the messages before it."""
    for index in range(n):
        messages = conversation(5, index).messages
        for number, message in enumerate(messages):
            if message["role"] == "assistant" and number:
                before = "\n".join(m["content"] for m in messages[:number])
                yield before, CALL.sub("", message["content"])


def test_the_curriculums_own_answers_are_english() -> None:
    problems = [find_babble(prompt, answer) for prompt, answer in curriculum_answers(400)]
    found = [problem for problem in problems if problem]
    assert len(found) <= 0.01 * len(problems), found


def test_shuffled_answers_are_mostly_babble() -> None:
    """Words in random order are no English; a judge that accepts everything would pass above."""
    generator, n_babble, n = random.Random(0), 0, 0
    for prompt, answer in curriculum_answers(400):
        words = answer.split()
        if len(words) >= 12:
            generator.shuffle(words)
            n_babble += bool(find_babble(prompt, " ".join(words)))
            n += 1
    assert n > 100
    assert n_babble > 0.5 * n


def test_there_are_300_different_prompts_of_ten_kinds() -> None:
    prompts = open_prompts()
    assert [len(of_kind) for of_kind in prompts.values()] == [30] * 10
    texts = {json.dumps(messages) for of_kind in prompts.values() for messages in of_kind}
    assert len(texts) == 300
    for kind, of_kind in prompts.items():
        for messages in of_kind:
            assert len(messages) == (3 if kind == "follow-ups" else 1)
            assert messages[-1]["role"] == "user"
            for message in messages[1:2]:
                assert find_babble(messages[0]["content"], message["content"]) == ""


def test_the_prompts_are_not_in_the_curriculum() -> None:
    """Except for a greeting or a word or two, which are the same everywhere."""
    keys = {question_key(m[-1]["content"]) for of in open_prompts().values() for m in of}
    keys = {key for key in keys if key.count(" ") > 1}
    assert len(keys) > 250
    shown = {
        key
        for index in range(3000)
        for message in conversation(11, index).messages
        if message["role"] == "user" and (key := question_key(message["content"])) in keys
    }
    assert not shown


def test_the_benchmark_is_the_share_of_english(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: Callable[..., Transformer]
) -> None:
    runner = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)
    benchmark, data = BENCHMARKS["babble"], EvalData(Path())
    result, records = run_benchmark(benchmark, runner, "sft", data, 2, required=True)
    assert (result["n"], result["chance"], len(result["categories"])) == (20, 0.0, 10)
    assert result["score"] <= 0.2, "a random model babbles"
    assert sum(result["problems"].values()) == 20 - round(result["score"] * 20)
    assert "no end" in result["problems"]
    for record in records:
        assert record["correct"] == (record["problem"] == "")
        assert {"prompt", "answer"} < set(record)
    json.dumps(result)


def test_a_cut_answer_is_recorded_as_one() -> None:
    item = BENCHMARKS["babble"].load_categories(EvalData(Path()), True, 1)["chat"].items[0]
    assert isinstance(item, GenerativeItem)
    whole = GeneratedAnswer("Hello there.", "Hello there.", False, False, Sequence([1], GREEDY))
    assert _check(item, whole).correct
    result = _check(item, whole._replace(cut=True))
    assert (result.correct, result.details["problem"]) == (False, "no end")


def test_an_answer_for_everything_is_babble() -> None:
    def results(answers: list[str]) -> dict[str, list[ItemResult]]:
        details = [{"answer": answer, "problem": ""} for answer in answers]
        return {"chat": [ItemResult(True, one) for one in details]}

    review = BENCHMARKS["babble"].review
    mixed = review(results(["I do not know."] * 16 + [f"Answer {n}." for n in range(284)]))["chat"]
    assert [result.correct for result in mixed] == [False] * 16 + [True] * 284
    assert mixed[0].details["problem"] == "same answer: 16 times"
    rare = review(results(["I do not know."] * 15 + [f"Answer {n}." for n in range(285)]))["chat"]
    assert all(result.correct for result in rare)
    few = review(results(["Hello."] * 3 + ["Hi."]))["chat"]
    assert all(result.correct for result in few)


def test_the_pretrained_model_is_not_asked() -> None:
    every_stage = EvalRequest(stage="all", tasks=("babble", "exam"))
    assert _pretrain_names(("babble", "exam"), every_stage, BENCHMARKS) == ["exam"]
    assert _pretrain_names(["babble", "exam"], EvalRequest(), BENCHMARKS) == ["exam"]
    with pytest.raises(UserError, match="needs a model that chats"):
        _pretrain_names(("babble",), EvalRequest(tasks=("babble",)), BENCHMARKS)
