"""A synthetic classification set: points around the centres of the classes."""
import mxnet as mx
import numpy as np


class SyntheticData:
    """Generates batches of ``num_classes`` classes in ``num_features`` dimensions."""

    def __init__(self, num_classes, num_features):
        self.num_classes = num_classes
        self.num_features = num_features
        self.mu = np.random.rand(num_classes, num_features)
        self.sigma = np.ones((num_classes, num_features)) * 0.1

    def get_iter(self, batch_size):
        """An iterator over 10 new batches."""
        label = np.random.randint(0, self.num_classes, (10 * batch_size,))
        data = np.zeros((10 * batch_size, self.num_features))
        for i in range(10 * batch_size):
            data[i, :] = np.random.normal(self.mu[label[i], :], self.sigma[label[i], :])
        return mx.io.NDArrayIter(data=data, label=label, batch_size=batch_size, shuffle=True)
