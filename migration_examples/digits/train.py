"""Train LeNet or an MLP on scanned digits.

    python train.py --network lenet
    python train.py --network lenet --num-epochs 12 --load-epoch 8    # go on from a checkpoint
"""
from __future__ import print_function

import argparse
import logging
import os
import time

import mxnet as mx
import numpy as np

NUM_TRAIN = 1397


def read_digits(path):
    """Images as (n, 1, 8, 8) float32 in [0, 1] and their labels, in a fixed random order."""
    with np.load(path) as data:
        images, labels = data['images'], data['labels']
    images = images.astype(np.float32).reshape(-1, 1, 8, 8) / 16.0
    order = np.random.RandomState(42).permutation(len(images))
    return images[order], labels[order].astype(np.float32)


def get_iterators(args):
    images, labels = read_digits(args.data)
    train = mx.io.NDArrayIter(images[:NUM_TRAIN], labels[:NUM_TRAIN], args.batch_size, shuffle=True)
    val = mx.io.NDArrayIter(images[NUM_TRAIN:], labels[NUM_TRAIN:], args.batch_size)
    return train, val


def get_mlp():
    data = mx.symbol.Variable('data')
    flat = mx.symbol.Flatten(data=data)
    fc1 = mx.symbol.FullyConnected(data=flat, num_hidden=128, name='fc1')
    act1 = mx.symbol.Activation(data=fc1, act_type='relu', name='relu1')
    fc2 = mx.symbol.FullyConnected(data=act1, num_hidden=64, name='fc2')
    act2 = mx.symbol.Activation(data=fc2, act_type='relu', name='relu2')
    fc3 = mx.symbol.FullyConnected(data=act2, num_hidden=10, name='fc3')
    return mx.symbol.SoftmaxOutput(data=fc3, name='softmax')


def get_lenet():
    data = mx.symbol.Variable('data')
    conv1 = mx.symbol.Convolution(data=data, kernel=(3, 3), pad=(1, 1), num_filter=20, name='conv1')
    act1 = mx.symbol.Activation(data=conv1, act_type='tanh', name='tanh1')
    pool1 = mx.symbol.Pooling(data=act1, pool_type='max', kernel=(2, 2), stride=(2, 2), name='pool1')
    conv2 = mx.symbol.Convolution(data=pool1, kernel=(3, 3), pad=(1, 1), num_filter=50, name='conv2')
    act2 = mx.symbol.Activation(data=conv2, act_type='tanh', name='tanh2')
    pool2 = mx.symbol.Pooling(data=act2, pool_type='max', kernel=(2, 2), stride=(2, 2), name='pool2')
    flat = mx.symbol.Flatten(data=pool2)
    fc1 = mx.symbol.FullyConnected(data=flat, num_hidden=128, name='fc1')
    act3 = mx.symbol.Activation(data=fc1, act_type='tanh', name='tanh3')
    fc2 = mx.symbol.FullyConnected(data=act3, num_hidden=10, name='fc2')
    return mx.symbol.SoftmaxOutput(data=fc2, name='softmax')


def parse_args():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description='train on scanned digits',
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--network', type=str, default='lenet', choices=['lenet', 'mlp'])
    parser.add_argument('--data', type=str, default=os.path.join(here, 'digits.npz'), help='the data file')
    parser.add_argument('--gpus', type=str, default='', help='GPUs to train on, e.g. "0,1"; the CPU if empty')
    parser.add_argument('--num-epochs', type=int, default=10)
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--lr', type=float, default=0.1, help='learning rate')
    parser.add_argument('--mom', type=float, default=0.9, help='momentum of SGD')
    parser.add_argument('--wd', type=float, default=0.0001, help='weight decay')
    parser.add_argument('--kv-store', type=str, default='local')
    parser.add_argument('--model-prefix', type=str, default='', help='save a checkpoint after each epoch')
    parser.add_argument('--load-epoch', type=int, default=0, help='go on from this checkpoint of --model-prefix')
    parser.add_argument('--disp-batches', type=int, default=10, help='log every so many batches')
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    if args.load_epoch and not args.model_prefix:
        parser.error('--load-epoch needs --model-prefix')
    return args


def train(args):
    np.random.seed(args.seed)
    mx.random.seed(args.seed)
    train_iter, val_iter = get_iterators(args)

    arg_params = aux_params = None
    if args.load_epoch:
        symbol, arg_params, aux_params = mx.model.load_checkpoint(args.model_prefix, args.load_epoch)
        logging.info('loaded %s-%04d.params', args.model_prefix, args.load_epoch)
    else:
        symbol = get_lenet() if args.network == 'lenet' else get_mlp()

    ctx = [mx.gpu(int(i)) for i in args.gpus.split(',')] if args.gpus else mx.cpu()
    model = mx.mod.Module(symbol, context=ctx)
    model.fit(train_iter,
              eval_data=val_iter,
              eval_metric=['accuracy', 'ce'],
              kvstore=args.kv_store,
              optimizer='sgd',
              optimizer_params={'learning_rate': args.lr, 'momentum': args.mom, 'wd': args.wd},
              initializer=mx.init.Xavier(factor_type='in', magnitude=2.34),
              arg_params=arg_params,
              aux_params=aux_params,
              begin_epoch=args.load_epoch,
              num_epoch=args.num_epochs,
              batch_end_callback=mx.callback.Speedometer(args.batch_size, args.disp_batches),
              epoch_end_callback=mx.callback.do_checkpoint(args.model_prefix) if args.model_prefix else None)
    return dict(model.score(val_iter, ['accuracy']))['accuracy']


if __name__ == '__main__':
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    options = parse_args()
    start = time.time()
    accuracy = train(options)
    print('final validation accuracy %.4f' % accuracy)
    logging.info('took %.1f seconds', time.time() - start)
