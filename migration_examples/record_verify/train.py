"""Train a small convolutional network on scanned digits (a script of 2017).

    python train.py --num-epochs 5 --model-prefix digits
"""
from __future__ import print_function

import argparse
import logging
import os

import mxnet as mx
import numpy as np

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'digits', 'digits.npz')


def get_symbol(num_classes):
    net = mx.symbol.Variable('data')
    for i, num_filter in enumerate([8, 16]):
        net = mx.symbol.Convolution(data=net, kernel=(3, 3), pad=(1, 1), num_filter=num_filter, name='conv%d' % (i + 1))
        net = mx.symbol.BatchNorm(data=net, fix_gamma=False, name='bn%d' % (i + 1))
        net = mx.symbol.Activation(data=net, act_type='relu', name='relu%d' % (i + 1))
        net = mx.symbol.Pooling(data=net, pool_type='max', kernel=(2, 2), stride=(2, 2), name='pool%d' % (i + 1))
    net = mx.symbol.Flatten(data=net)
    net = mx.symbol.FullyConnected(data=net, num_hidden=32, name='fc1')
    net = mx.symbol.Activation(data=net, act_type='relu', name='relu3')
    net = mx.symbol.Dropout(data=net, p=0.25, name='drop3')
    net = mx.symbol.FullyConnected(data=net, num_hidden=num_classes, name='fc2')
    return mx.symbol.SoftmaxOutput(data=net, name='softmax')


def get_iterators(batch_size):
    data = np.load(DATA)
    order = np.random.RandomState(0).permutation(len(data['labels']))
    images = data['images'][order].reshape((-1, 1, 8, 8)).astype(np.float) / 16
    labels = data['labels'][order].astype(np.int)
    split = np.int(0.8 * len(order))
    train = mx.io.NDArrayIter(images[:split], labels[:split], batch_size, shuffle=True)
    val = mx.io.NDArrayIter(images[split:], labels[split:], batch_size)
    return train, val


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--lr', type=float, default=0.05)
    parser.add_argument('--num-epochs', type=int, default=5)
    parser.add_argument('--model-prefix', help='write a checkpoint after each epoch')
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    train, val = get_iterators(args.batch_size)
    model = mx.mod.Module(get_symbol(10), context=mx.cpu())
    model.fit(train, eval_data=val, num_epoch=args.num_epochs, optimizer='sgd',
              optimizer_params={'learning_rate': args.lr, 'momentum': 0.9, 'wd': 0.0001,
                                'lr_scheduler': mx.lr_scheduler.FactorScheduler(step=60, factor=0.7)},
              initializer=mx.initializer.Xavier(magnitude=2.24), eval_metric=['accuracy', 'ce'],
              epoch_end_callback=mx.callback.do_checkpoint(args.model_prefix) if args.model_prefix else None)
    print('final validation accuracy %.4f' % model.score(val, 'acc')[0][1])


if __name__ == '__main__':
    main()
