# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m ltp_ros.tools.interface_table`: generate the page docs/interfaces.md.

Fields come from msg/, srv/ and action/. Topics, services and actions are listed here, and
`test/ros/test_interfaces.py` compares them with a node.
"""
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from rosidl_adapter.parser import (
    MessageSpecification,
    parse_action_string,
    parse_message_string,
    parse_service_string,
)

from ltp_ros.ros.transport import share_directory

CHECKOUT = Path(__file__).parents[2]
SOURCES = CHECKOUT if (CHECKOUT / 'msg').is_dir() else share_directory()


class Topic(NamedTuple):
    """A topic of the node; the name is relative to its namespace unless it begins with /."""

    name: str
    type: str
    qos: str  # reliability, durability if it is not volatile, depth
    when: str


class Service(NamedTuple):
    """A service or an action of the node besides what every lifecycle node has."""

    name: str
    type: str
    purpose: str


INPUTS: Tuple[Topic, ...] = (
    Topic('image', 'sensor_msgs/Image', 'best effort, depth 1',
          'while active; one for each of `image_topics`. `image_reliability:=reliable` asks for '
          'more'),
    Topic('image/compressed', 'sensor_msgs/CompressedImage', 'best effort, depth 1',
          'instead, if `image_transport` is compressed'),
    Topic('detections_topic', 'vision_msgs/Detection2DArray', 'best effort, depth 10',
          'while active, the topic that `detections_topic` names, if it names one'),
)
OUTPUTS: Tuple[Topic, ...] = (
    Topic('classification', 'ltp_ros/Classification', 'reliable, depth 10',
          'for every processed image, while active; silence means that there was no image'),
    Topic('latency', 'ltp_ros/FrameLatency', 'reliable, depth 10',
          'right after each classification'),
    Topic('regions', 'ltp_ros/ClassificationArray', 'reliable, depth 10',
          'after each classification, while `zoom_boxes` is above 0 and somebody subscribes'),
    Topic('detections', 'vision_msgs/Detection2DArray', 'reliable, depth 10',
          'in place of each classification, where `detections_topic` names a detector'),
    Topic('vision_msgs/classification', 'vision_msgs/Classification', 'reliable, depth 10',
          'with each classification, where vision_msgs is installed'),
    Topic('debug_image', 'sensor_msgs/Image', 'reliable, depth 1',
          'at most at `debug_image_rate`, while somebody subscribes to it'),
    Topic('labels', 'ltp_ros/Labels', 'reliable, transient local, depth 1',
          'once the model is loaded; whoever subscribes later gets it too'),
    Topic('vision_msgs/label_info', 'vision_msgs/LabelInfo', 'reliable, transient local, depth 1',
          'with the labels, where vision_msgs is installed'),
    Topic('/diagnostics', 'diagnostic_msgs/DiagnosticArray', 'reliable, depth 10',
          'once a second, in every lifecycle state'),
)
SERVICES: Tuple[Service, ...] = (
    Service('~/classify', 'ltp_ros/Classify',
            'one image in, one answer out, while a model is loaded: also while inactive, and '
            'between the images of the cameras. The whole image, whatever `roi` is; where `zoom` '
            'is on, the part of it that holds its detail'),
    Service('~/teach_last', 'ltp_ros/TeachLast',
            'teach one picture that was just answered: for a button or a joystick'),
    Service('~/forget', 'ltp_ros/Forget', 'forget a class as if it had never been taught'),
    Service('~/save_classes', 'ltp_ros/SaveClasses', 'keep the taught classes in a file'),
    Service('~/load_classes', 'ltp_ros/LoadClasses',
            'take the classes of a file in the place of those that were taught'),
)

ACTIONS: Tuple[Service, ...] = (
    Service('~/teach', 'ltp_ros/Teach',
            'teach a class from the next pictures of a camera, between its frames; what was '
            'taught before a goal is cancelled stays'),
)

HEAD = """# Topics, services, actions and messages

Generated from `msg/`, `srv/`, `action/` and `ltp_ros/tools/interface_table.py` by
`python -m ltp_ros.tools.interface_table`. Names are relative to the namespace of the node, `/ltp`
unless it is started in another; `~` is the node, `/ltp/classifier`. Parameters:
[parameters.md](parameters.md).

A subscriber may ask for best effort where reliable is offered, not the other way round. Durability
is volatile unless the table says otherwise.
"""
LIFECYCLE = """
The node also has what every node has (parameters, `/rosout`, `/parameter_events`) and what every
lifecycle node has: `~/change_state`, `~/get_state`, `~/get_available_states`,
`~/get_available_transitions`, `~/get_transition_graph` and `~/transition_event`.
"""


def interface_table() -> str:
    """Return docs/interfaces.md."""
    return HEAD + ''.join([*_topics('Subscribed', INPUTS), *_topics('Published', OUTPUTS),
                           *_services('service', SERVICES), *_services('action', ACTIONS),
                           LIFECYCLE, *_definitions()])


def _topics(title: str, topics: Tuple[Topic, ...]) -> Iterator[str]:
    yield f'\n## {title}\n\n| topic | type | QoS | when |\n|---|---|---|---|\n'
    for topic in topics:
        yield f'| `{topic.name}` | {_link(topic.type)} | {topic.qos} | {topic.when} |\n'


def _services(kind: str, services: Tuple[Service, ...]) -> Iterator[str]:
    if services:
        yield f'\n## {kind.title()}s\n\n| {kind} | type | purpose |\n|---|---|---|\n'
    for service in services:
        yield f'| `{service.name}` | {_link(service.type)} | {service.purpose} |\n'


def _link(type_name: str) -> str:
    """Return the type, linked to its fields below if it is one of this package."""
    package, name = type_name.split('/')
    return f'[{type_name}](#{package}{name.lower()})' if package == 'ltp_ros' else type_name


def _definitions() -> Iterator[str]:
    for path in sorted(SOURCES.glob('msg/*.msg')):
        message = parse_message_string('ltp_ros', path.stem, path.read_text(encoding='utf-8'))
        yield f'\n## ltp_ros/{path.stem}\n' + _sentence(message)
        yield from _fields(message)
    for path in sorted(SOURCES.glob('srv/*.srv')):
        service = parse_service_string('ltp_ros', path.stem, path.read_text(encoding='utf-8'))
        yield f'\n## ltp_ros/{path.stem}\n' + _sentence(service.request)
        yield from _parts(Request=service.request, Response=service.response)
    for path in sorted(SOURCES.glob('action/*.action')):
        action = parse_action_string('ltp_ros', path.stem, path.read_text(encoding='utf-8'))
        yield f'\n## ltp_ros/{path.stem}\n' + _sentence(action.goal)
        yield from _parts(Goal=action.goal, Result=action.result, Feedback=action.feedback)


def _parts(**parts: MessageSpecification) -> Iterator[str]:
    for title, message in parts.items():
        yield f'\n{title}:\n'
        yield from _fields(message)


def _sentence(message: MessageSpecification) -> str:
    text = ' '.join(message.annotations.get('comment', []))
    return f'\n{text}\n' if text else ''


def _fields(message: MessageSpecification) -> Iterator[str]:
    yield '\n| field | type | meaning |\n|---|---|---|\n'
    for field in message.fields:
        yield f'| `{field.name}` | {field.type} | {_meaning(field.annotations)} |\n'
    for constant in message.constants:
        yield (f'| `{constant.name}={constant.value}` | {constant.type}, constant '
               f'| {_meaning(constant.annotations)} |\n')


def _meaning(annotations: Dict[str, List[str]]) -> str:
    return ' '.join(annotations['comment']).replace('|', r'\|')


if __name__ == '__main__':
    print(interface_table(), end='')
