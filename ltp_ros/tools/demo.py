# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_demo`: run a camera and the classifier as two ROS processes and show the answers live."""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_demo())

import argparse
import os
import time
from contextlib import ExitStack
from typing import List, Optional

import rclpy
from rclpy.executors import ExternalShutdownException
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ltp_ros.files import expand
from ltp_ros.tools.image_source import parse_rate
from ltp_ros.tools.reports.demo_table import DemoReport
from ltp_ros.tools.reports.demo_watcher import DemoWatcher
from ltp_ros.tools.support.flags import absolute_paths, checked, positive_int
from ltp_ros.tools.support.frame_sources import PAN_FRAMES, SAMPLES, absolute_source
from ltp_ros.tools.support.processes import (
    Process,
    ProcessError,
    isolate,
    parameter_arguments,
)

START_TIMEOUT_S = 300.0  # a slow board loads and warms up a model
GRACE_S = 3.0  # for answers still in flight when the source has ended


def run(args: argparse.Namespace, report: DemoReport, live: Live) -> None:
    """Run the two processes and feed the report until every frame is answered or overdue."""
    parameters = absolute_paths({name: getattr(args, name) for name in (
        'model', 'checkpoint', 'labels', 'input_size', 'crop_mode', 'device', 'precision',
        'keep_ratio')})
    with ExitStack() as stack:
        watcher = DemoWatcher(report)
        stack.callback(watcher.destroy_node)
        classifier = stack.enter_context(Process('ltp_ros.node', parameter_arguments(parameters)))
        source = stack.enter_context(Process('ltp_ros.tools.image_source', [
            absolute_source(args.source),
            '--rate', str(args.rate), '--count', str(args.frames), '--loop', '--wait']))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not report.answered_all(args.frames) and time.monotonic() < deadline:
            rclpy.spin_once(watcher, timeout_sec=0.05)
            for process in (classifier, source):
                process.check()
            live.update(report.live_table())
            if report.num_answered:
                grace = GRACE_S + (0 if source.exit_code == 0 else START_TIMEOUT_S)
                deadline = max(report.last_answer_s, watcher.started_s) + grace
        if not report.num_answered:
            raise ProcessError(f'no answer within {START_TIMEOUT_S:g} s')


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog='ltp_demo', description=__doc__.split(': ', 1)[1])
    parser.add_argument('--source', type=expand, default='samples',
                        help='a video file, a folder of images, the number or device of a camera '
                        '(0, /dev/video0), a stream (rtsp://…, http://…), or samples (default): a '
                        'pan over the images in this package')
    parser.add_argument('--frames', type=positive_int, default=PAN_FRAMES * len(SAMPLES),
                        metavar='N', help='number of frames; default: %(default)s')
    parser.add_argument('--rate', type=parse_rate, default=10.0, metavar='HZ',
                        help='frames per second; default: %(default)s')
    parser.add_argument('--keep-ratio', type=checked('keep_ratio'), default=0.53,
                        help='share of the patch tokens kept; default: %(default)s')
    parser.add_argument('--model', default='demo',
                        help='a timm Vision Transformer; default: demo, the model in this package')
    parser.add_argument('--checkpoint', type=expand, default='',
                        help='a .safetensors file for the model')
    parser.add_argument('--labels', type=expand, default='',
                        help='a text file with one class name per line')
    parser.add_argument('--input-size', type=checked('input_size'), default=0, metavar='PIXELS',
                        help='pixels a side that the model is given; default: as it was trained')
    parser.add_argument('--crop-mode', type=checked('crop_mode'), default='auto',
                        help="center, squash or border; default: the model's own")
    parser.add_argument('--device', default='', help='cuda or cpu; default: cuda if available')
    parser.add_argument('--precision', default='', help='float32, float16, bfloat16 or int8')
    parser.add_argument('--output', type=expand, default='ltp_demo.png', metavar='FILE',
                        help='annotated image; default: %(default)s')
    parser.add_argument('--json', type=expand, metavar='FILE',
                        help='write the summary as JSON')
    parser.add_argument('--quiet', action='store_true', help='print only the summary')
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run the demo; return the exit code: 0 if answers came back and the picture was saved."""
    args = build_parser().parse_args(argv)
    isolate()
    console = Console()
    report = DemoReport(args.model, args.checkpoint)
    if not args.quiet:
        console.print('[dim]Starting a camera and the classifier in ROS domain '
                      f'{os.environ["ROS_DOMAIN_ID"]}; loading the model may take a minute.[/dim]')
    rclpy.init()
    try:
        with Live(console=Console(quiet=True) if args.quiet else console,
                  refresh_per_second=8, transient=False) as live:
            run(args, report, live)
        report.save_picture(args.output)
    except (ProcessError, OSError) as error:
        console.print(Text(f'ltp_demo: {error}', 'red'))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        rclpy.try_shutdown()
    console.print(report.summary_table())
    for line in filter(None, (report.class_line(), report.latency_line())):
        console.print(line, highlight=False, markup=False)
    console.print('Annotated picture (dimmed: dropped patches; grey: outside the model input): '
                  + os.path.abspath(args.output), highlight=False, markup=False, soft_wrap=True)
    if args.json:
        report.save_json(args.json)
    return 0
