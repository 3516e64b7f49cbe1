"""Real histories as events: TPC-DS and the UCI Online Retail invoices (domain.md 6).

Each history is opened with a context manager that yields a ``History``; its ``frames()`` are the events,
ready for the bulk publisher. ``tpcds`` needs the extra ``tillroll[tpcds]``, ``online_retail`` nothing.
"""

from tillroll.services.histories.history import EventFrame, History, Summary
from tillroll.services.histories.rejects import REJECT_FRAME, Rejects

__all__ = ["REJECT_FRAME", "EventFrame", "History", "Rejects", "Summary"]
