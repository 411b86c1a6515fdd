"""All private names of KerasTuner that this package uses, each with the reason.

A number is an issue of keras-team/keras-tuner. The names are those of 1.4.8. A search refuses to start if one of them
is missing. The one private name of TensorFlow, its gradient registry, is in `tuning.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.errors import UnfreezeError

ORACLE = {
    "_compute_values_hash": "the identity of a point, which under Hyperband leaves the epochs out",
    "_display": "prints each trial to standard output, which is left to the user",
    "_duplicate": "whether a point was tried, by the hash",
    "_get_oracle_fname": "where KerasTuner itself looks for oracle.json",
    "_get_trial_dir": "where KerasTuner itself looks for trial.json",
    "_id_to_hash": "derived from the trials on reload, so that a lost oracle.json costs nothing",
    "_project_dir": "the folder of the search",
    "_random_values": "gives up after 20 collisions although points are left (608), and never counts seed 0",
    "_retry_queue": "where an interrupted trial waits to be run again, under its own id",
    "_run_times": "derived from the trials on reload",
    "_save_trial": "overridden because it writes in place, so that a crash leaves an empty file",
    "_tried_so_far": "derived from the trials on reload",
}
HYPERBAND = {
    "_brackets": "derived from the trials on reload, and read to promote",
    "_current_bracket": "the bracket being filled",
    "_current_iteration": "how many times the brackets were gone through",
    "_get_epochs": "the schedule: epochs of a round",
    "_get_size": "the schedule: how many trials in a round",
    "_increment_bracket_num": "goes to the next bracket",
    "_random_trial": "a trial of a bracket's first round",
    "_start_new_bracket": "opens the next bracket",
}
TUNER = {
    "_build_and_fit_model": "gets the callbacks; overridden: the one that saves the best epoch first checks the disk",
    "_build_hypermodel": "overridden: a promoted trial gets its parent's weights, as in KerasTuner's Hyperband",
    "_configure_tensorboard_dir": "imports tensorboard in every trial; TensorFlow 2.21 does not install it",
    "_get_checkpoint_fname": "where the best epoch's weights of a trial are",
    "_get_tuner_fname": "tuner0.json: KerasTuner resumes a search only if this file exists",
    "_populate_initial_space": "builds a model, the whole backbone, in the constructor",
    "_run_and_update_trial": "runs a trial and reports its metrics",
    "_try_run_and_update_trial": "prints a failed trial's traceback",
}


def check(thing: object, names: Mapping[str, str]) -> None:
    """Raises UnfreezeError if KerasTuner's base classes of `thing` lack one of `names`."""
    bases = [base for base in type(thing).__mro__ if base.__module__.startswith("keras_tuner.")]
    known = set(vars(thing)).union(*map(vars, bases))
    if missing := sorted(set(names) - known):
        raise UnfreezeError(
            f"expected KerasTuner 1.4.8, whose {bases[0].__name__} has {missing[0]}; "
            "the installed version does not: pip install 'keras-tuner>=1.4.8,<1.5'"
        )
