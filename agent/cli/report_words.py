"""Words of the report in English and Japanese: texts, dates, spans of time, names of quantities."""

from __future__ import annotations

import time

from agent.cli.report_figures import amount
from agent.cli.units import sign
from agent.model import DAY_S, HOUR_S, MINUTE_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.store import Outage

ENGLISH, JAPANESE = "en", "ja"
LANGUAGES = (ENGLISH, JAPANESE)

#: Each text, in English and in Japanese.
TEXTS: dict[str, tuple[str, str]] = {
    "title": ("{thing}: the last {number} days", "{thing}：過去{number}日間の様子"),
    "title_one": ("{thing}: today", "{thing}：今日の様子"),
    "period": ("{first} to {last}, as of {now}", "{first}から{last}まで（{now}現在）"),
    "as_of": ("As of {now}", "{now}現在"),
    "nothing": (
        "Nothing to report yet: the history is empty. Come back in an hour.",
        "まだ記録がありません。1時間ほどたってから、もう一度お試しください。",
    ),
    "last_detection": ("Last detection", "最後の検知"),
    "quiet_now": ("Quiet for", "検知のない時間"),
    "of_which": ("{span}, {observed} of it observed", "{span}（うち観測 {observed}）"),
    "unknown": ("unknown", "不明"),
    "not_running": ("unknown: the agent does not run", "不明（エージェントが停止中）"),
    "mode": ("Mode", "モード"),
    "away": ("away", "外出中"),
    "visitor": ("visitor", "来客中"),
    "test": ("test", "テスト中"),
    "until": ("{mode}, until {moment}", "{mode}（{moment}まで）"),
    "detections": ("Detections", "検知回数"),
    "observed": ("Observed", "観測できた割合"),
    "heat_map": ("Detections by hour", "時間ごとの検知回数"),
    "heat_map_about": (
        (
            "One row a day, one column an hour. The stronger the colour, the more detections. "
            "Hatched: nobody looked, so the number is unknown."
        ),
        (
            "1行が1日、1列が1時間です。色がはっきりしているほど検知が多いことを示します。"
            "斜線は観測できなかった時間で、回数は不明です。"
        ),
    ),
    "sum": ("{number}", "{number}回"),
    "cell": ("{day} {hour}: {count}, observed {share}", "{day} {hour}：{count}、観測 {share}"),
    "cell_unknown": ("{day} {hour}: {count}", "{day} {hour}：{count}"),
    "count_one": ("{number} detection", "検知 {number}回"),
    "count": ("{number} detections", "検知 {number}回"),
    "count_unknown": ("unknown, nobody looked", "不明（観測なし）"),
    "again": ("{day} again", "{day} 2回目"),
    "again_about": (
        '"again": the clock was put back, and showed that hour twice.',
        "「2回目」：時計が戻され、同じ時刻が2回あったことを示します。",
    ),
    "usual": ("usual today", "今日の目安"),
    "usual_about": (
        '"usual today": the median of this weekday\'s hour over up to {weeks} weeks.',
        "「今日の目安」：同じ曜日・同じ時間帯の中央値（最大{weeks}週分）です。",
    ),
    "usual_cell": (
        "usual at {hour}: {median} ({low} to {high}, of {weeks} weeks)",
        "{hour}の目安：{median}回（{low}～{high}回、{weeks}週分）",
    ),
    "legend_none": ("none", "0回"),
    "legend_part": ("none, partly observed", "0回（一部のみ観測）"),
    "legend_unknown": ("nobody looked", "観測なし"),
    "legend_levels": ("up to: {levels}", "回数の上限：{levels}"),
    "legend_up_to": ("up to {number}", "{number}回まで"),
    "day": ("Day", "日付"),
    "hour": ("Hour", "時刻"),
    "total": ("total", "合計"),
    "seen": ("obs.", "観測"),
    "quiet": ("quiet", "無検知"),
    "first": ("First detection", "最初の検知"),
    "longest": ("Longest quiet", "検知のない最長時間"),
    "days": ("Day by day", "日ごとのまとめ"),
    "from_to": ("{span} ({begin} to {end})", "{span}（{begin}～{end}）"),
    "quantities": ("Readings", "測定値"),
    "low": ("Low", "最低"),
    "mean": ("Mean", "平均"),
    "high": ("High", "最高"),
    "range": ("{low} to {high}", "{low}～{high}"),
    "quantities_about": (
        "The line is the mean, the band is from low to high; a gap means that nothing was read.",
        "線は平均、帯は最低から最高までです。線の途切れは、測定値がなかったことを示します。",
    ),
    "series_about": (
        "From {low} to {high}, {mean} on average.",
        "最低 {low}、最高 {high}、平均 {mean}です。",
    ),
    "outages": ("Outages", "停止・通信断の記録"),
    "no_outages": ("None in these days.", "この期間にはありません。"),
    "what": ("What", "対象"),
    "agent": ("device off", "機器停止"),
    "link": ("offline", "通信断"),
    "sensor": ("sensor", "センサー"),
    "from": ("From", "開始"),
    "lasted": ("Lasted", "長さ"),
    "cause": ("Cause", "原因"),
    "outage": ("{kind}, {lasted}", "{kind}、{lasted}"),
    "because": (": {cause}", "：{cause}"),
    "lasts": ("{span}, still going on", "{span}（継続中）"),
    "numbers": ("The numbers: {title}", "数値を表で見る：{title}"),
    "chart_of": ("Chart: {title}", "グラフ：{title}"),
    "table_about": (
        '"?": nobody looked. In brackets: the part of the hour that was observed.',
        "「?」は観測なし。かっこ内は、その1時間のうち観測できた割合です。",
    ),
    "scroll": ("{title}, scrolls sideways", "{title}（横にスクロールできます）"),
    "made": (
        (
            "Made by pi-iot-agent {version} on the device itself. "
            "This page holds all that it shows, and loads nothing."
        ),
        (
            "機器上の pi-iot-agent {version} が作成しました。"
            "このページは単独で完結し、外部から何も読み込みません。"
        ),
    ),
    "more": ("and {number} more", "ほか{number}件"),
}

#: Causes that the agent itself tells, in Japanese; others stay as they are.
CAUSES = {
    "power cut": "停電または電源断",
    "crash": "プログラムの異常終了",
    "watchdog": "応答停止による再起動",
    "out of memory": "メモリー不足",
    "upgrade": "更新",
    "reboot": "機器の再起動",
    "restart": "プログラムの再起動",
    "stopped": "停止操作",
    "first start": "初回起動",
    "network": "ネットワーク",
    "unknown": "不明",
}

#: What quantities measure, by the words before the unit.
QUANTITIES = {
    "temperature": ("Temperature", "温度"),
    "humidity": ("Humidity", "湿度"),
    "relative_humidity": ("Humidity", "湿度"),
    "pressure": ("Pressure", "気圧"),
    "illuminance": ("Light", "明るさ"),
    "co2": ("CO₂", "二酸化炭素濃度"),
    "wbgt": ("Heat index (WBGT)", "暑さ指数（WBGT）"),
    "voltage": ("Voltage", "電圧"),
    "current": ("Current", "電流"),
    "power": ("Power", "電力"),
    "cpu_temperature": ("Processor temperature", "CPU温度"),
    "cpu_load": ("Processor load", "CPU負荷"),
    "memory_used": ("Memory used", "メモリー使用率"),
    "memory_available": ("Memory available", "空きメモリー"),
    "disk_used": ("Disk used", "ディスク使用率"),
    "disk_free": ("Disk free", "ディスク空き容量"),
    "uptime": ("Uptime", "稼働時間"),
    "wifi_signal": ("Wi-Fi signal", "Wi-Fi電波強度"),
}

#: Names in the store that are texts here.
KINDS = ("agent", "link", "sensor")
MODES = ("away", "visitor", "test")

DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAYS_JA = "月火水木金土日"
MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Words:
    """The words of one language; times are local."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._japanese = language == JAPANESE

    def __call__(self, key: str, **values: object) -> str:
        """The text of that name with the values in their places."""
        text = TEXTS[key][self._japanese]
        return text.format(**values) if values else text

    def day(self, at_s: float) -> str:
        """A date with its weekday: Fri 27 Nov."""
        at = time.localtime(at_s)
        if self._japanese:
            return f"{at.tm_mon}月{at.tm_mday}日（{DAYS_JA[at.tm_wday]}）"
        return f"{DAYS_EN[at.tm_wday]} {at.tm_mday} {MONTHS_EN[at.tm_mon - 1]}"

    def short_day(self, at_s: float) -> str:
        """A date with its weekday, in few columns."""
        at = time.localtime(at_s)
        if self._japanese:
            return f"{at.tm_mon}/{at.tm_mday}({DAYS_JA[at.tm_wday]})"
        return self.day(at_s)

    def clock(self, at_s: float) -> str:
        """The local clock: 14:32."""
        return time.strftime("%H:%M", time.localtime(at_s))

    def moment(self, at_s: float) -> str:
        """A date with its time."""
        return f"{self.day(at_s)} {self.clock(at_s)}"

    def span(self, seconds: float) -> str:
        """A span of time by its two largest units, minutes at least."""
        minutes = int(max(0.0, seconds) // MINUTE_S)
        days, rest = divmod(minutes, DAY_S // MINUTE_S)
        hours, minutes = divmod(rest, HOUR_S // MINUTE_S)
        names = ("日", "時間", "分") if self._japanese else (" d", " h", " min")
        gap = "" if self._japanese else " "
        parts = ((days, names[0]), (hours, names[1]), (minutes, names[2]))
        told = [f"{number}{name}" for number, name in parts if number][:2]
        return gap.join(told) or f"0{names[2]}"

    def title(self, thing: str, days: int) -> str:
        """The title of a report."""
        return self("title_one" if days == 1 else "title", thing=thing, number=days)

    def period(self, first_s: float, last_s: float, now_s: float) -> str:
        """The days of a report, and when it was made."""
        now = self.moment(now_s)
        if self.day(first_s) == self.day(last_s):
            return self("as_of", now=now)
        return self("period", first=self.day(first_s), last=self.day(last_s), now=now)

    def short_span(self, seconds: float) -> str:
        """Hours and minutes in few signs: 12:40."""
        hours, minutes = divmod(int(max(0.0, seconds) // MINUTE_S), HOUR_S // MINUTE_S)
        return f"{hours}:{minutes:02}"

    def lasted(self, outage: Outage, now_s: float) -> str:
        """Length of an outage."""
        if outage.ended_s is None:
            return self("lasts", span=self.span(now_s - outage.began_s))
        return self.span(outage.ended_s - outage.began_s)

    def kind(self, kind: str) -> str:
        """Word for the kind of an outage."""
        return self(kind) if kind in KINDS else kind

    def mode(self, mode: str) -> str:
        """The name of a mode."""
        return self(mode) if mode in MODES else mode

    def count(self, number: float | None) -> str:
        """Detections in words."""
        if number is None:
            return self("count_unknown")
        return self("count_one" if number == 1 else "count", number=amount(number))

    def cause(self, text: str) -> str:
        """The cause of an outage."""
        return CAUSES.get(text, text) if self._japanese else text

    def quantity(self, name: str) -> str:
        """A quantity of a sensor, such as room.temperature_c, as people call it."""
        sensor, _, quantity = name.partition(".")
        plain, _, _ = quantity.rpartition("_") if sign(quantity) else (quantity, "", "")
        known = QUANTITIES.get(quantity.rpartition("_")[0])
        what = known[self._japanese] if known else plain.replace("_", " ")
        return f"{what}（{sensor}）" if self._japanese else f"{what} ({sensor})"


def language_of(environment: Mapping[str, str]) -> str:
    """The language that a user's environment asks for, as gettext(3) has it; English else."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if found := environment.get(name):
            return JAPANESE if found.lower().startswith("ja") else ENGLISH
    return ENGLISH
