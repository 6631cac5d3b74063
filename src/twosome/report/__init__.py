"""From the files of runs to one self-contained HTML report. Reads files only: no model, no environment, no torch."""

from twosome.report.page import write_report

__all__ = ["write_report"]
