"""TensorBoard's event file writer, one event a scalar: what `SummaryWriter.add_scalar` of torch calls."""

from __future__ import annotations

import sys
import time

from measure import Scalars, report
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

writer = EventFileWriter(sys.argv[1])


def call(step: int, row: Scalars) -> None:
    for name, value in row.items():
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


report(call)
writer.close()
