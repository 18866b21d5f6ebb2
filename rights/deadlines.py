"""Legal clocks: how long the law gives for an answer."""

import calendar
from datetime import datetime


def one_month_after(at: datetime) -> datetime:
    """The corresponding day of the next month, or its last day. GDPR Art. 12(3); Reg. 1182/71."""
    year, month = divmod(at.year * 12 + at.month, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return at.replace(year=year, month=month + 1, day=min(at.day, last_day))
