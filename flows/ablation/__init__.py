"""Did a rule of curation help? Variants of a recipe, short trainings at equal compute, and a verdict with error bars.

What makes the comparison fair:

- **The same question for all.** The queries are chosen before any rule is applied: a tenth of the labelled images by
  the hash of their id, one for each group of copies. They enter every variant's curation as an evaluation set does:
  what copies one of them is dropped as contaminated, in every variant alike, so that a variant without
  deduplication gains nothing from copies of queries. The bank of k-NN and probe is what every variant trains on.
- **The same compute.** All trainings take the same steps of the same batch with the same model, however many images
  a variant keeps; a change of `training` that costs more or less is marked.
- **The same luck.** Seed by seed, variants start from the same weights; differences are paired by seed.
- **No more words than evidence.** A difference is called one only where a paired t-test says so after Holm's
  correction for the number of variants; else the smallest effect that could have been seen is given.

Where the recipe's `evaluation.sets` names other sets, these are asked; name them in `curation.decontaminate`, too.

`variants` reads what is to vary, `ground_truth` and `queries` choose the questions, `variant_datasets` makes the
datasets, `trainings` and `run_ablation` train, `eta` says how long, `statistics` tests the differences, `results` are
the facts, `page` and `text` show them.
"""
