# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`~/teach` and the services beside it: classes that a running node learns, forgets and keeps."""
import os
from concurrent import futures
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, Optional, TypeVar

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup

from ltp_ros.action import Teach
from ltp_ros.files import expand, short, write_whole
from ltp_ros.frames.background import in_thread
from ltp_ros.frames.teacher import RELEASED, Progress, Session, TeachingError
from ltp_ros.ros import messages
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.frame_server import FrameServer
from ltp_ros.ros.managed_node import STEADY
from ltp_ros.srv import Forget, LoadClasses, SaveClasses, TeachLast
from ltp_ros.teaching import classes_file
from ltp_ros.teaching.classes import check_label
from ltp_ros.teaching.examples import NONE

T = TypeVar('T')
MAX_SECONDS = 3600.0


class TeachingServices:
    """An action and four services of a node, for as long as that lives.

    They say so where no model is loaded. Nothing here waits for the model: rclpy awaits
    coroutines, and goes on with other callbacks meanwhile.

    Args:
        node: named by them.
        server: returns what classifies; None while no model is loaded.
    """

    def __init__(self, node: ConfiguredNode, server: Callable[[], Optional[FrameServer]]):
        self._node, self._server = node, server
        self._sessions: Dict[bytes, Session] = {}  # by goal
        group = ReentrantCallbackGroup()
        self._action = ActionServer(
            node, Teach, '~/teach', self._teach, callback_group=group,
            cancel_callback=self._cancel)
        for kind, name, answer in ((TeachLast, 'teach_last', self._teach_last),
                                   (Forget, 'forget', self._forget),
                                   (SaveClasses, 'save_classes', self._save),
                                   (LoadClasses, 'load_classes', self._load)):
            callback: Callable[..., Any] = self._told(answer)
            node.create_service(kind, f'~/{name}', callback, callback_group=group)

    def destroy(self) -> None:
        """Leave ROS; a node does not do that for its actions."""
        self._action.destroy()

    def _told(self, answer: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
        """Return a callback that tells whoever asked what went wrong."""
        async def callback(request: Any, response: Any) -> Any:
            try:
                await answer(self._loaded(), request, response)
                response.success = True
            except Exception as error:  # noqa: BLE001  whatever it is, whoever asked is told
                response.message = str(error) or type(error).__name__
            return response

        return callback

    def _loaded(self) -> FrameServer:
        server = self._server()
        if server is None:
            raise TeachingError(f'no model is loaded while the node is {self._node.state}; '
                                'configure it first')
        return server

    async def _result(self, work: 'futures.Future[T]') -> T:
        await self._node.end_of(work)
        try:
            return work.result()
        except futures.CancelledError as error:
            raise TeachingError(RELEASED) from error

    async def _teach(self, goal: ServerGoalHandle) -> Teach.Result:
        key, result = bytes(goal.goal_id.uuid), Teach.Result(accuracy=float('nan'))
        session: Optional[Session] = None
        try:
            server = self._loaded()
            self._sessions[key] = session = self._session(server, goal.request)
            await self._follow(server, session, goal)
            progress = session.progress
            result = Teach.Result(
                success=not session.fault and progress.taught > 0, frames=progress.taught,
                message=session.fault or ('' if progress.taught else 'no image was answered in '
                                          'that time'), **_figures(progress))
        except Exception as error:  # noqa: BLE001  whatever it is, whoever asked is told
            # What ended the session first is the reason, and not what came of it
            result.message = session and session.fault or str(error) or type(error).__name__
        finally:
            self._sessions.pop(key, None)
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.success:
            goal.succeed()
        else:
            goal.abort()
        return result

    def _session(self, server: FrameServer, request: Teach.Goal) -> Session:
        if self._node.state != 'active':
            raise TeachingError(f'no image is answered while the node is {self._node.state}; '
                                'activate it first')
        if self._node.config.input.detections_topic:
            raise TeachingError('pictures of the boxes of a detector are not taught live; teach a '
                                'folder of them with ltp_teach')
        least = 0.0 if request.frames else 1e-3
        if not least <= request.seconds <= MAX_SECONDS:  # NaN too
            raise TeachingError(f'seconds {request.seconds:g} are not allowed; give up to '
                                f'{MAX_SECONDS:g} above 0, or 0 and frames above 0')
        region = request.region
        return Session(_label(request.label, request.negative),
                       self._camera(server, request.camera),
                       [region.x_offset, region.y_offset, region.width, region.height],
                       request.frames)

    async def _follow(self, server: FrameServer, session: Session,
                      goal: ServerGoalHandle) -> None:
        """Wait for the end of a session, and tell how it goes."""
        # Some versions of rclpy hand what they know of the timer to a callback that takes anything
        timer = self._node.create_timer(goal.request.seconds, lambda: session.end(),
                                        clock=STEADY) if goal.request.seconds > 0 else None
        try:
            server.teacher.begin(session)
            while True:
                news = session.news  # before it is looked whether it is over
                if session.over:
                    break
                await self._node.end_of(news)
                if self._server() is not server:
                    raise TeachingError(RELEASED)
                goal.publish_feedback(Teach.Feedback(**_figures(session.progress)))
        finally:
            if timer is not None:
                self._node.destroy_timer(timer)
            end_of_all = server.teacher.end(session)
        await self._result(end_of_all)
        server.teacher.judge(session.progress)

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        session = self._sessions.get(bytes(goal.goal_id.uuid))
        if session is not None:
            session.end()
        return CancelResponse.ACCEPT

    def _camera(self, server: FrameServer, camera: str) -> str:
        given = self._node.config.input.image_topics
        if not camera and len(given) == 1:
            return ''  # whatever it is remapped to; a lazy node has not listened to it yet
        topics = list(server.pipeline.mailbox.counts_by_camera()) or [
            self._node.resolve_topic_name(topic) for topic in given]
        for topic in topics:
            if camera and topic in (camera, self._node.resolve_topic_name(camera)):
                return topic
        raise TeachingError(f'the camera {short(camera)} is not one of {", ".join(topics)}')

    async def _teach_last(self, server: FrameServer, request: TeachLast.Request,
                          response: TeachLast.Response) -> None:
        session = Session(_label(request.label, request.negative),
                          self._camera(server, request.camera) if request.camera else '')
        stamp_ns = request.stamp.sec * 1_000_000_000 + request.stamp.nanosec
        work = server.request(lambda: server.teacher.teach(server.teacher.picture_of(
            session.topic, stamp_ns, lambda image: messages.stamp_ns(image.header)), session))
        await self._result(await self._result(work))
        await self._result(server.teacher.end(session))
        response.examples = server.teacher.classes.counts.get(session.label, 0)

    async def _forget(self, server: FrameServer, request: Forget.Request,
                      response: Forget.Response) -> None:
        await self._result(server.spare_time(server.teacher.forget(request.label, request.last)))
        response.examples = server.teacher.classes.counts.get(request.label, 0)

    async def _save(self, server: FrameServer, request: SaveClasses.Request,
                    response: SaveClasses.Response) -> None:
        path, classifier = self._path(request.path), server.pipeline.classifier
        if not classifier.taught.counts:
            raise TeachingError('no class was taught yet, so there is nothing to save')
        content = await self._result(server.request(
            lambda: classes_file.content(classifier.taught, classifier.backbone)))
        await self._result(in_thread(lambda: write_whole(path, content)))
        response.path = str(path)

    async def _load(self, server: FrameServer, request: LoadClasses.Request,
                    response: LoadClasses.Response) -> None:
        path, classifier = self._path(request.path), server.pipeline.classifier
        classes = await self._result(in_thread(lambda: classifier.read_classes(str(path))))
        await self._result(server.request(lambda: server.teacher.take(classes)))
        response.labels = classes.labels

    def _path(self, given: str) -> Path:
        path = given or self._node.config.classifier.classes
        if not path:
            raise TeachingError('which file is meant is not known: name it in path, or start the '
                                'node with classes:=FILE')
        return Path(os.path.abspath(expand(path)))


def _label(label: str, negative: bool) -> str:
    if negative and label:
        raise TeachingError(f'a picture of none of the classes has no label, and {short(label)} '
                            'was given; leave it empty')
    if not negative and not label:
        raise TeachingError('the label is empty; name the class, or set negative for pictures of '
                            'none of the classes')
    check_label(label)
    return NONE if negative else label


def _figures(progress: Progress) -> Dict[str, Any]:
    return {'examples': progress.examples, 'accuracy': progress.accuracy,
            'confused_with': progress.confused_with}
