"""Workloads with sparse arrays: a large embedding of which each step needs a few rows, and linear regression on csr."""

import numpy as np

ROWS, WIDTH, IDS = 1_000_000, 64, 1_000
FEATURES, SAMPLES, STORED = 1_000_000, 1_000, 50


def embedding_step(mx, optimizer, sparse):
    """One step (forward, backward, update) of an embedding of ``ROWS`` rows that looks up ``IDS`` of them."""
    rows = mx.sym.Variable("rows")
    net = mx.sym.Embedding(rows, input_dim=ROWS, output_dim=WIDTH, sparse_grad=sparse, name="embedding")
    net = mx.sym.LinearRegressionOutput(mx.sym.mean(net, axis=1), mx.sym.Variable("label"))
    module = mx.mod.Module(net, data_names=["rows"], label_names=["label"])
    module.bind([("rows", (IDS,))], [("label", (IDS,))])
    module.init_params(mx.init.Uniform(0.01))
    module.init_optimizer(optimizer=optimizer, optimizer_params={"learning_rate": 0.01})
    batches = [mx.io.DataBatch([mx.nd.array(_ids(seed))], [mx.nd.ones((IDS,))]) for seed in range(5)]
    turn = iter(())

    def step():
        nonlocal turn
        batch = next(turn, None)
        if batch is None:
            turn = iter(batches)
            batch = next(turn)
        module.forward_backward(batch)
        module.update()

    return step


def embedding_step_torch(torch, optimizer):
    """The same by hand: ``SparseAdam`` or SGD on a sparse gradient."""
    embedding = torch.nn.Embedding(ROWS, WIDTH, sparse=True)
    kind = torch.optim.SparseAdam if optimizer == "adam" else torch.optim.SGD
    steps = kind(embedding.parameters(), lr=0.01)
    ids = torch.from_numpy(_ids(0)).long()

    def step():
        steps.zero_grad()
        ((embedding(ids).mean(1) - 1) ** 2).sum().backward()
        steps.step()

    return step


def linear_step(mx):
    """One step of linear regression on a csr batch, by imperative operators and ``sgd_update``."""
    generator = np.random.RandomState(0)
    indices = np.sort(generator.randint(0, FEATURES, (SAMPLES, STORED)), axis=1)
    values = generator.rand(SAMPLES * STORED).astype(np.float32)
    parts = (values, indices.reshape(-1), np.arange(SAMPLES + 1) * STORED)
    data = mx.nd.sparse.csr_matrix(parts, shape=(SAMPLES, FEATURES))
    weight, label = mx.nd.zeros((FEATURES, 1)), mx.nd.ones((SAMPLES, 1))
    weight.attach_grad(stype="row_sparse")

    def step():
        with mx.autograd.record():
            loss = ((mx.nd.sparse.dot(data, weight) - label) ** 2).sum()
        loss.backward()
        mx.nd.sparse.sgd_update(weight, weight.grad, out=weight, lr=0.001)

    return step


def _ids(seed):
    return np.random.RandomState(seed).randint(0, ROWS, IDS).astype(np.float32)
