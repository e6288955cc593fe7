# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A managed node whose ROS parameters are a `Config`."""
from typing import Any, Collection, List

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from ltp_ros.config import Value
from ltp_ros.parameter import ConfigError
from ltp_ros.ros import parameters
from ltp_ros.ros.managed_node import ManagedNode, undone
from ltp_ros.settings import value_of


class ConfiguredNode(ManagedNode):
    """Keep `config` and the ROS parameters in step.

    Raises:
        ConfigError: if a parameter given at the start is not allowed.
    """

    def __init__(self, name: str, **kwargs: Any):
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        with undone(self):
            self.config = parameters.declare(self)

    @property
    def configured(self) -> bool:
        """Whether only live parameters may change; for the subclass to say."""
        raise NotImplementedError

    def config_changed(self, asked: Collection[str]) -> None:
        """Called with the names that were set, once `config` holds their values."""
        raise NotImplementedError

    def show_parameter(self, name: str, value: Value) -> None:
        """Write a value that the node itself chose, if it is another."""
        if value != value_of(self.config, name):
            self._change([Parameter(name, value=value)])

    def set_parameters_atomically(self, parameter_list: List[Parameter]) -> SetParametersResult:
        """Reject invalid values; store the value in use, such as a keep_ratio on the ladder.

        rclpy lets a callback refuse a value but, before Iron, not correct it.
        """
        result = self._change(parameter_list)
        if result.successful:
            self.config_changed([parameter.name for parameter in parameter_list])
        return result

    def set_parameters(self, parameter_list: List[Parameter]) -> List[SetParametersResult]:
        """Set one after the other, each as `set_parameters_atomically` does."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def _change(self, parameter_list: List[Parameter]) -> SetParametersResult:
        try:
            config, parameter_list = parameters.change(self.config, parameter_list,
                                                       self.configured)
            if config.input != self.config.input:
                parameters.check_input(self, config.input)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        result = super().set_parameters_atomically(parameter_list)
        if result.successful:
            self.config = config
        return result
