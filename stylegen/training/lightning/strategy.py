"""Several processes without a wrapper: every rank holds the networks, and each phase averages one flat gradient.

Lightning's launchers and rendezvous (its own, torchrun, SLURM) stay. DistributedDataParallel does not fit a step
that differentiates twice and freezes one network after the other, and a generator's and a discriminator's gradients
are a hundred megabytes: one all-reduce a phase.
"""

from lightning.pytorch.strategies import DDPStrategy

from stylegen.training.lightning.processes import Launcher


class FlatAllReduce(DDPStrategy):
    """DDP's processes and devices, with the module left unwrapped."""

    def configure_ddp(self) -> None:
        """Ranks begin equal because weights are a function of the seed, so nothing is broadcast or wrapped."""

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes)
