"""What becomes of an answer that lay in the journal."""

from __future__ import annotations

import pytest

from swf_worker.core import messages
from swf_worker.core.execution import Phase, Policy, step
from swf_worker.core.kept_answers import kept
from swf_worker.core.messages import Disposition
from swf_worker.outcome import Canceled, Completed, Failed

ANSWERS = [Completed("1"), Canceled("details"), Failed("No")]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("ambiguous", [True, False])
def test_it_is_sent_as_it_is_with_heartbeats(answer, ambiguous):
    state, commands = step(kept(Policy(), answer, ambiguous=ambiguous), messages.Redelivered())
    assert state.phase is Phase.SENDING
    assert commands == (messages.StartBeats(), messages.Send(answer))
    ended, _ = step(state, messages.AnswerUnknown())
    wanted = Disposition.PRESUMED_ACCEPTED if ambiguous else Disposition.LATE
    assert ended.disposition is wanted


def test_a_refused_result_that_may_be_there_is_followed_by_no_other_answer():
    for ambiguous in (True, False):
        lay = kept(Policy(), Completed("1"), ambiguous=ambiguous)
        sending, _ = step(lay, messages.Redelivered())
        state, commands = step(sending, messages.AnswerRefused("too long"))
        sent = [each for each in commands if isinstance(each, messages.Send)]
        assert bool(sent) is not ambiguous
        assert (state.disposition is Disposition.REJECTED) is ambiguous
