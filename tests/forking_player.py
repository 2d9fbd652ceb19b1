"""Plays programs to circuits and their models, and forks in between: parent and child have to go on as predicted.

Run as a program, in a process of its own, since that of the tests has threads of many libraries:
``python -m tests.forking_player PROGRAMS STEPS FORKS``. At each fork another thread holds every lock that it can get.
The fork stands between two steps or, as by the handler of a signal, where the clock is read, also under a circuit's
lock. Then the child finishes the program, forking again where that is due; so does its parent, once the child is over.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence

from resilience import _forks
from tests.circuit_model import CONFIGS, Config, Dice, Player, Step, long_program

STUCK = 10  # seconds; never reached


class ForkingClock(Dice):
    """Forks at the readings of *due*, counted over the whole program."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0
        self.due: frozenset[int] = frozenset()
        self.forks: Forks | None = None

    def now(self) -> float:
        self.readings += 1
        if self.forks is not None and self.readings in self.due:
            self.forks.fork()
        return super().now()


class Forks:
    """Forks this process, while another thread has the *locks*; counts the forks."""

    def __init__(self, locks: Sequence[threading.Lock]) -> None:
        self.locks = locks
        self.is_child = False
        self.count = 0
        self.held_elsewhere = 0

    def fork(self) -> None:
        held, stop = threading.Event(), threading.Event()

        def hold() -> None:
            mine = [lock for lock in self.locks if lock.acquire(blocking=False)]
            self.held_elsewhere += len(mine)
            held.set()
            stop.wait()
            for lock in mine:
                lock.release()

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        held.wait()
        self.count += 1
        child = os.fork()
        if not child:
            self.is_child = True
            signal.alarm(STUCK)  # ends a child that waits for a lock
            return
        stop.set()
        holder.join()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == 0, f"the child has ended with {code}"


class ForkingPlayer(Player):
    clock: ForkingClock

    def __init__(self, *configs: Config) -> None:
        super().__init__(*configs, clock=ForkingClock())
        self.forks = Forks([*_forks._locks, *(circuit.circuit._lock for circuit in self.circuits)])

    def fork(self, step: Step) -> None:
        self.forks.fork()

    def play_forking(self, program: Sequence[Step], at_steps: Sequence[int], at_readings: Sequence[int]) -> None:
        """Play *program* with forks before those steps, and at those readings of the clock; end each child."""
        forking: list[Step] = []
        for number, step in enumerate(program):
            forking += [Step("fork")] * (number in at_steps)
            # A fork in another thread ends that in the child which waits for the thread.
            forking.append(step._replace(where="elsewhere") if step.where == "thread" else step)
        self.clock.due, self.clock.forks = frozenset(at_readings), self.forks
        try:
            self.play(forking)
        except BaseException:
            if self.forks.is_child:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            raise
        if self.forks.is_child:
            os._exit(0)


def readings_of(configs: tuple[Config, Config], program: Sequence[Step]) -> int:
    """Return how often the clock is read while a program is played."""
    player = ForkingPlayer(*configs)
    player.play(program)
    return player.clock.readings


def main(programs: int, steps: int, forks: int) -> None:
    """Play so many programs for each set of options, each with so many forks between steps, and as many in a step."""
    warnings.simplefilter("ignore")  # that a process with threads forks
    options = [*CONFIGS.values()]
    played = forked = held = 0
    for seed in range(programs):
        for number, config in enumerate(options):
            chance = random.Random(f"{number} {seed}")
            configs = (config, options[(number + seed + 1) % len(options)])
            program = long_program(chance, steps)
            readings = readings_of(configs, program)
            player = ForkingPlayer(*configs)
            at_steps = chance.sample(range(steps), forks)
            player.play_forking(program, at_steps, chance.sample(range(1, readings), min(forks, readings - 1)))
            played += 1
            forked += player.forks.count
            held += player.forks.held_elsewhere
    print(f"{played} programs, {forked} forks in them, {held // forked} locks held elsewhere at each")  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
