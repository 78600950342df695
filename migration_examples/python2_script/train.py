#!/usr/bin/env python2
"""Train an MLP on scanned digits, batch by batch.

    python2 train.py [digits.npz [epochs]]
"""
import cPickle
import os
import sys
import time

import mxnet as mx
import numpy as np

BATCH = 50


def read_digits(path):
    try:
        content = np.load(path)
    except IOError, e:
        print >>sys.stderr, 'no data:', e
        sys.exit(2)
    images = content['images'].astype(np.float).reshape(-1, 64) / 16
    order = np.random.RandomState(42).permutation(len(images))
    return images[order], content['labels'][order].astype(np.int)


class Digits(mx.io.DataIter):
    """All digits once an epoch, in batches; what is left over at the end is not used."""

    def __init__(self, images, labels):
        super(Digits, self).__init__()
        self.images, self.labels = images, labels
        self.provide_data = [('data', (BATCH, 64))]
        self.provide_label = [('softmax_label', (BATCH,))]
        self.num_batches = len(images) / BATCH
        self.cur = 0

    def reset(self):
        self.cur = 0

    def next(self):
        if self.cur == self.num_batches:
            raise StopIteration
        rows = slice(self.cur * BATCH, (self.cur + 1) * BATCH)
        self.cur += 1
        return mx.io.DataBatch([mx.nd.array(self.images[rows])], [mx.nd.array(self.labels[rows])], pad=0)


def get_symbol(sizes):
    net = mx.symbol.Variable('data')
    for i in xrange(len(sizes)):  # one layer after the other
        net = mx.symbol.FullyConnected(data=net, num_hidden=sizes[i], name='fc%d' % i)
        net = mx.symbol.Activation(data=net, act_type='relu', name='relu%d' % i)
    net = mx.symbol.FullyConnected(data=net, num_hidden=10, name='fc%d' % len(sizes))
    return mx.symbol.SoftmaxOutput(data=net, name='softmax')


def count_params(shapes, (data_name, label_name)):
    return sum(int(np.product(s)) for k, s in shapes.iteritems() if k not in (data_name, label_name))


def train(path, epochs):
    images, labels = read_digits(path)
    cut = len(images) * 7 / 9
    train_iter, val_iter = Digits(images[:cut], labels[:cut]), Digits(images[cut:], labels[cut:])

    symbol = get_symbol([128, 64])
    mod = mx.mod.Module(symbol, context=mx.cpu())
    mod.bind(train_iter.provide_data, train_iter.provide_label)
    shapes = dict((name, arr.shape) for name, arr in zip(symbol.list_arguments(), mod._exec_group.execs[0].arg_arrays))
    print '%d images, %d weights' % (cut, count_params(shapes, ('data', 'softmax_label')))
    mod.init_params(mx.init.Xavier(factor_type='in', magnitude=2.34))
    mod.init_optimizer(optimizer_params={'learning_rate': 0.1, 'momentum': 0.9})

    history = {}
    metric = mx.metric.Accuracy()
    start = time.clock()
    for epoch in range(epochs):
        train_iter.reset()
        metric.reset()
        for batch in train_iter:
            mod.forward_backward(batch)
            mod.update()
            mod.update_metric(metric, batch.label)
        history[epoch] = metric.get()[1]
        if epoch == epochs / 2 or epoch == epochs - 1:
            print 'epoch', epoch, 'training accuracy %.4f' % history[epoch]
    print >>sys.stderr, '%.1f seconds' % (time.clock() - start)
    best = max(history, key=lambda epoch: history[epoch])
    print 'best epoch %d, final validation accuracy %.4f' % (best, mod.score(val_iter, 'acc')[0][1])
    return history


if __name__ == '__main__':
    mx.random.seed(1)
    path = sys.argv[1] if len(sys.argv) > 1 else 'digits.npz'
    history = train(path, int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    if os.environ.has_key('HISTORY'):
        with open(os.environ['HISTORY'], 'wb') as f:
            cPickle.dump(history, f, 2)
