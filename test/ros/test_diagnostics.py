# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics of three cameras, each with a trouble of its own."""
import platform

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from ros_helpers import classifier_process, exchange, picture
from sensor_msgs.msg import Image

from ltp_ros.msg import Classification
from ltp_ros.ros import messages
from ltp_ros.ros.images import from_pixels


def test_every_camera_is_told_with_its_own_trouble(listener, small_model):
    listener.listen('/diagnostics', DiagnosticArray)

    def statuses():
        return {status.name.split(': ', 1)[1]: status
                for array in listener.heard['/diagnostics'][-1:] for status in array.status}

    def until_said(part, level, sentence, meanwhile=lambda: None):
        def said():
            meanwhile()
            status = statuses().get(part)
            return status is not None and status.level == level and sentence in status.message
        listener.until(said, program)
        return statuses()[part]

    with classifier_process(checkpoint=small_model, image_topics='[/dark,/damaged,/lossy]',
                            image_reliability='reliable') as program:
        dark = listener.publisher('/dark', program=program)
        damaged = listener.publisher('/damaged', program=program)
        lossy = listener.node.create_publisher(Image, '/lossy', QoSProfile(
            depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT))

        header = picture(0).header
        header.stamp = listener.node.get_clock().now().to_msg()
        night = from_pixels(header, messages.to_rgb(picture(0)) // 16)
        answer, _ = exchange(listener, dark, night, program)
        assert answer.picture_faults == Classification.UNDEREXPOSED
        status = until_said('camera /dark', DiagnosticStatus.WARN, 'are underexposed',
                            lambda: dark.publish(night))
        values = {item.key: item.value for item in status.values}
        assert (values['encoding'], values['size']) == ('rgb8', '64x48')
        assert (status.hardware_id, values['topic']) == ('/dark', '/dark')
        assert program.output.count('/dark: the image is underexposed; check the light') == 1

        broken = picture(1)
        broken.encoding = 'yuv999'
        status = until_said(
            'camera /damaged', DiagnosticStatus.ERROR, '100 % of the images on /damaged are '
            'dropped (undecodable)', lambda: damaged.publish(broken))
        assert "'yuv999' is not supported" in status.message

        until_said('camera /lossy', DiagnosticStatus.WARN,
                   'does not match (RELIABILITY); set image_reliability:=best_effort')
        assert 'does not match (RELIABILITY)' in program.output
        total = statuses()['input']
        assert total.level == DiagnosticStatus.ERROR and '/lossy' in total.message
        assert total.hardware_id == statuses()['lifecycle'].hardware_id == platform.node()

        listener.node.destroy_publisher(lossy)
        until_said('camera /lossy', DiagnosticStatus.WARN, 'it has no publisher')
        lossy = listener.publisher('/lossy', program=program)  # one that matches
        until_said('camera /lossy', DiagnosticStatus.OK, 'receiving images', lambda: lossy.publish(
            from_pixels(header, messages.to_rgb(picture(2)))))
