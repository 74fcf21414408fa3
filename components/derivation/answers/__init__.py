"""Answers from specs: can an app read a secret, who can, what can it read, what does a node reach, why was it refused.

`Answers(fleet)` answers about one environment. Every yes and no is the evaluator's over the derived policies; the place
in the spec comes from the grants that the policies were made of. Nothing is printed here (`lockstep/answers.py`).
"""

from .checks import Check, Subject, Verdict
from .diagnosis import ELSEWHERE, Aspect, Diagnosis, Finding, State, diagnose, find_apps
from .events import MountProblem, ProblemKind, parse_event
from .inventory import Inventory, ObjectId
from .questions import Answers, BlastRadius, ReadAnswer, RegionAnswer, regions_of
from .reader import Reader, Selector

__all__ = [
    "ELSEWHERE",
    "Answers",
    "Aspect",
    "BlastRadius",
    "Check",
    "Diagnosis",
    "Finding",
    "Inventory",
    "MountProblem",
    "ObjectId",
    "ProblemKind",
    "ReadAnswer",
    "Reader",
    "RegionAnswer",
    "Selector",
    "State",
    "Subject",
    "Verdict",
    "diagnose",
    "find_apps",
    "parse_event",
    "regions_of",
]
