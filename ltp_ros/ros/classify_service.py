# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`~/classify`: one image in, one answer out, beside the stream of the cameras."""
from concurrent.futures import CancelledError
from typing import Any, Callable, Optional

from rclpy.callback_groups import ReentrantCallbackGroup

from ltp_ros.ros.frame_server import FrameServer
from ltp_ros.ros.managed_node import ManagedNode
from ltp_ros.settings import check
from ltp_ros.srv import Classify

ALL_TOKENS = 1.0


class ClassifyService:
    """The service of a node, for as long as that lives; it says so where no model is loaded.

    Args:
        node: named by the service.
        server: returns what classifies; None while no model is loaded.
    """

    def __init__(self, node: ManagedNode, server: Callable[[], Optional[FrameServer]]):
        self._node, self._server = node, server
        # An answer that waits for the model must keep no other callback waiting. rclpy awaits a
        # coroutine, though its types do not say so.
        answer: Callable[..., Any] = self._answer
        node.create_service(Classify, '~/classify', answer,
                            callback_group=ReentrantCallbackGroup())

    async def _answer(self, request: Classify.Request,
                      response: Classify.Response) -> Classify.Response:
        server = self._server()
        if server is None:
            response.message = (f'no model is loaded while the node is {self._node.state}; '
                                'configure it first')
            return response
        try:
            work = server.classify(request.image,
                                   check('keep_ratio', request.keep_ratio or ALL_TOKENS))
            await self._node.end_of(work)
            response.classification = work.result()
            response.success = True
        except CancelledError:
            response.message = 'the model was released before it came to this image'
        except Exception as error:  # noqa: BLE001  the image, the device: whoever asked is told
            response.message = str(error) or type(error).__name__
        return response
