"""How the predecessor of Cadence stepped through months. Kept as a reference; nothing imports it."""

import calendar
import datetime


def add_months(day: datetime.date, months: int) -> datetime.date:
    """The date some months later (or earlier, for a negative number), clamped: 31 January plus one month is 28 or 29 February."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise ValueError(f"{months} months from {day} is no date: the year would be {year}")
    return day.replace(year=year, month=month + 1, day=min(day.day, last_day(year, month + 1)))


def last_day(year: int, month: int) -> int:
    """The number of the last day of a month, 28 to 31, by the proleptic Gregorian calendar."""
    return calendar.monthrange(year, month)[1]


def nth_weekday(year: int, month: int, weekday: int, ordinal: int) -> datetime.date | None:
    """The date of a weekday (0 is Monday) by its ordinal, from the end if negative; None for a fifth one that the month lacks."""
    days = [
        number
        for number in range(1, last_day(year, month) + 1)
        if datetime.date(year, month, number).weekday() == weekday
    ]
    index = ordinal - 1 if ordinal > 0 else ordinal
    return datetime.date(year, month, days[index]) if -len(days) <= index < len(days) else None
