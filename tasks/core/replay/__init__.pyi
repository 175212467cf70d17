from .diff import TableDiff as TableDiff
from .diff import compare as compare
from .diff import merge_diffs as merge_diffs
