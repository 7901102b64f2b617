"""The 67 paradigms of BLiMP in the 12 phenomena of its paper, with the authors' results.

This table is a module of its own because fetching needs the names, and neither data nor PyTorch.
"""

from typing import NamedTuple

PUBLISHED_MODELS = ("5-gram", "LSTM", "Transformer-XL", "GPT-2")


class Phenomenon(NamedTuple):
    """A linguistic group of paradigms, and the share correct of each of PUBLISHED_MODELS in it."""

    title: str
    paradigms: tuple[str, ...]
    published: tuple[float, ...]


# Results: raw_results/summary/models_summary.jsonl of alexwarstadt/blimp, which corrects the tables
# of the published paper. Each is the mean of the group's paradigms.
PHENOMENA: dict[str, Phenomenon] = {
    "anaphor_agreement": Phenomenon(
        "anaphor agreement",
        ("anaphor_gender_agreement", "anaphor_number_agreement"),
        (0.479, 0.917, 0.941, 0.993),
    ),
    "argument_structure": Phenomenon(
        "argument structure",
        (
            "animate_subject_passive",
            "animate_subject_trans",
            "causative",
            "drop_argument",
            "inchoative",
            "intransitive",
            "passive_1",
            "passive_2",
            "transitive",
        ),
        (0.719, 0.732, 0.722, 0.818),
    ),
    "binding": Phenomenon(
        "binding",
        (
            "principle_A_c_command",
            "principle_A_case_1",
            "principle_A_case_2",
            "principle_A_domain_1",
            "principle_A_domain_2",
            "principle_A_domain_3",
            "principle_A_reconstruction",
        ),
        (0.644, 0.735, 0.747, 0.809),
    ),
    "control_raising": Phenomenon(
        "control and raising",
        (
            "existential_there_object_raising",
            "existential_there_subject_raising",
            "expletive_it_object_raising",
            "tough_vs_raising_1",
            "tough_vs_raising_2",
        ),
        (0.685, 0.670, 0.715, 0.819),
    ),
    "determiner_noun_agreement": Phenomenon(
        "determiner-noun agreement",
        (
            "determiner_noun_agreement_1",
            "determiner_noun_agreement_2",
            "determiner_noun_agreement_irregular_1",
            "determiner_noun_agreement_irregular_2",
            "determiner_noun_agreement_with_adj_2",
            "determiner_noun_agreement_with_adj_irregular_1",
            "determiner_noun_agreement_with_adj_irregular_2",
            "determiner_noun_agreement_with_adjective_1",
        ),
        (0.701, 0.854, 0.830, 0.958),
    ),
    "ellipsis": Phenomenon(
        "ellipsis",
        ("ellipsis_n_bar_1", "ellipsis_n_bar_2"),
        (0.369, 0.676, 0.772, 0.894),
    ),
    "filler_gap_dependency": Phenomenon(
        "filler-gap dependency",
        (
            "wh_questions_object_gap",
            "wh_questions_subject_gap",
            "wh_questions_subject_gap_long_distance",
            "wh_vs_that_no_gap",
            "wh_vs_that_no_gap_long_distance",
            "wh_vs_that_with_gap",
            "wh_vs_that_with_gap_long_distance",
        ),
        (0.602, 0.739, 0.666, 0.813),
    ),
    "irregular_forms": Phenomenon(
        "irregular forms",
        ("irregular_past_participle_adjectives", "irregular_past_participle_verbs"),
        (0.795, 0.891, 0.782, 0.919),
    ),
    "island_effects": Phenomenon(
        "island effects",
        (
            "adjunct_island",
            "complex_NP_island",
            "coordinate_structure_constraint_complex_left_branch",
            "coordinate_structure_constraint_object_extraction",
            "left_branch_island_echo_question",
            "left_branch_island_simple_question",
            "sentential_subject_island",
            "wh_island",
        ),
        (0.572, 0.466, 0.483, 0.727),
    ),
    "npi_licensing": Phenomenon(
        "licensing of words like ever and any",
        (
            "matrix_question_npi_licensor_present",
            "npi_present_1",
            "npi_present_2",
            "only_npi_licensor_present",
            "only_npi_scope",
            "sentential_negation_npi_licensor_present",
            "sentential_negation_npi_scope",
        ),
        (0.455, 0.517, 0.552, 0.768),
    ),
    "quantifiers": Phenomenon(
        "quantifiers",
        (
            "existential_there_quantifiers_1",
            "existential_there_quantifiers_2",
            "superlative_quantifiers_1",
            "superlative_quantifiers_2",
        ),
        (0.535, 0.645, 0.693, 0.790),
    ),
    "subject_verb_agreement": Phenomenon(
        "subject-verb agreement",
        (
            "distractor_agreement_relational_noun",
            "distractor_agreement_relative_clause",
            "irregular_plural_subject_verb_agreement_1",
            "irregular_plural_subject_verb_agreement_2",
            "regular_plural_subject_verb_agreement_1",
            "regular_plural_subject_verb_agreement_2",
        ),
        (0.603, 0.801, 0.760, 0.864),
    ),
}
PUBLISHED_MEANS = (0.612, 0.698, 0.696, 0.830)  # of the 67 paradigms
