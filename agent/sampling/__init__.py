"""The worker that turns what sensors see into records in the store."""

from agent.sampling.counting import CountWindow
from agent.sampling.pool import Pool
from agent.sampling.recorder import Recorder
from agent.sampling.sampler import Sampler
from agent.sampling.target import INTERVAL_S
from agent.sampling.window_mirror import MIRROR, mirrored_facts, open_windows

__all__ = [
    "INTERVAL_S",
    "MIRROR",
    "CountWindow",
    "Pool",
    "Recorder",
    "Sampler",
    "mirrored_facts",
    "open_windows",
]
