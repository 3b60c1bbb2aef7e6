"""The graders that no module of this folder is for: an opinion of some LLM, and what was graded elsewhere."""

JUDGE = "judge"  # graded by an LLM: pipelines.graders.judge
REWARD_MODEL = "reward_model"  # by a sequence classifier: pipelines.graders.reward_model
OPEN = frozenset({JUDGE, REWARD_MODEL})  # queries of these graders have no reference that code can check an answer against
RECORDED = "recorded"  # labelled elsewhere: data/recorded/LLM.labels.parquet
