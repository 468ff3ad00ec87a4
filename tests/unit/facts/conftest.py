"""Rules of local clocks, as POSIX writes them."""

from __future__ import annotations

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
TOKYO = "JST-9"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"  # summer time is half an hour
KATHMANDU = "<+0545>-5:45"
HAVANA = "CST5CDT,M3.2.0/0,M11.1.0/1"  # summer time begins at midnight
