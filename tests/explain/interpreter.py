"""A reader of xpo's formulas: the definitions that ``explain`` prints, evaluated on plain numbers.

Nothing of xpo is imported, so that agreement with the trained loss means that the text says what is
trained. One row is a dictionary of numpy values: per token [K, T] (zeros where ``mask`` is false),
per response [K], per comparison [K, K], else a number.
"""

import ast
import itertools
import operator

import numpy as np

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.LtE: operator.le,
}


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def following(x):
    """One token later: [K, T], zeros at the end."""
    return np.concatenate([x[:, 1:], np.zeros_like(x[:, :1])], 1)


def mean_order_nll(score, reward):
    """All orders, each drawn best first by the scores, and how unlikely the rewards find it."""

    def nll(order, values):
        left = [[values[k] for k in order[place:]] for place in range(len(order))]
        return sum(np.log(np.sum(np.exp(rest))) - rest[0] for rest in left)

    orders = list(itertools.permutations(range(len(score))))
    return sum(np.exp(-nll(order, score)) * nll(order, reward) for order in orders)


def to_go(row, x, discount=1.0):
    """From every token to the end: a sum over later tokens, written out."""
    x, width = np.where(row["mask"], x, 0.0), row["mask"].shape[1]
    powers = [[discount ** (s - t) if s >= t else 0.0 for s in range(width)] for t in range(width)]
    return x @ np.array(powers).T


def ahead(row, x, v, steps, discount=1.0):
    """So many tokens of x, then v."""
    x, v = np.where(row["mask"], x, 0.0), np.where(row["mask"], v, 0.0)
    out, width = np.zeros_like(x), x.shape[1]
    for t in range(width):
        for s in range(t, min(t + steps, width)):
            out[:, t] += discount ** (s - t) * x[:, s]
        if t + steps < width:
            out[:, t] += discount**steps * v[:, t + steps]
    return out


def f_over_u(link, x):
    """The integral of the slope of f from 1 to u, over u, by Gauss and Legendre in log u."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    s = x[..., None] * (nodes + 1) / 2
    return (link(s) * np.exp(s) * weights).sum(-1) * x / 2 * np.exp(-x)


def of_samples(row):
    """Of a policy gradient's samples."""
    return {
        "sign": np.sign,
        "every_t": lambda x: np.asarray(x)[:, None] * np.ones(row["mask"].shape),
        "to_go": lambda *given: to_go(row, *given),
        "ahead": lambda *given: ahead(row, *given),
        "mean_k": lambda x: np.full(row["K"], np.mean(x)),
        "others_k": lambda x: np.array([np.mean(np.delete(x, k)) for k in range(row["K"])]),
        "std_k": lambda x: np.full(row["K"], np.std(x, ddof=1)),
        "population_std_k": lambda x: np.full(row["K"], np.std(x)),
        "f_over_u": lambda x: f_over_u(row["link"], x),
    }


def vocabulary(row):
    return {
        **of_samples(row),
        "exp": np.exp,
        "log": np.log,
        "abs": np.abs,
        "sqrt": np.sqrt,
        "where": np.where,
        "sigmoid": lambda x: np.exp(log_sigmoid(x)),
        "log_sigmoid": log_sigmoid,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "relu": lambda x: np.maximum(x, 0.0),
        "log_share": lambda x: np.log(np.where(x > 0, x, 1.0) / np.where(x > 0, x + np.transpose(x), 1.0)),
        "log_odds": lambda x: x - np.log1p(-np.exp(x)),
        "log_softmax": lambda x: x - np.logaddexp.reduce(x),
        "no_gradient": lambda x: x,
        "rival": lambda top: row["rival"],
        "i": lambda x: np.asarray(x)[..., None] * np.ones(row["K"]),
        "j": lambda x: np.ones((row["K"], 1)) * np.asarray(x),
        "swap": np.transpose,
        "sum_t": lambda x: np.where(row["mask"], x, 0.0).sum(-1),
        "last_t": lambda x: np.asarray(x)[:, None] * (row["mask"] & ~following(row["mask"])),
        "next_t": lambda x: np.where(following(row["mask"]), following(x), 0.0),
        "mean_order_nll": mean_order_nll,
        "sum_p": np.sum,
        "sum_k": np.sum,
        "sum_ij": np.sum,
        "sum_j": lambda x: np.sum(x, -1),
        "max_j": lambda x: np.max(x, -1),
        "q": lambda x: np.asarray(x)[..., None],
        "sum_q": lambda x: np.sum(x, -1),
        "max_k": np.max,
    }


def evaluate(text, rows, totals, beside=()):
    """The number that the last definition of ``text`` says. ``rows``: one dictionary per row.

    ``beside``: rows of demonstrations, of which ``sum_d`` is; what is defined by ``demo`` is theirs.
    """
    rows, beside = [dict(row) for row in rows], [dict(row) for row in beside]
    *definitions, last = [line.split(" = ", 1) for line in text.splitlines()]
    for name, expression in definitions:
        tree = ast.parse(expression.strip(), mode="eval").body
        for row in beside if beside and "demo" in expression else rows:
            row[name.strip()] = _value(tree, row)
    assert last[0].strip() == "loss"
    return float(_total(ast.parse(last[1].strip(), mode="eval").body, rows, {"": beside, **totals}))


def follow(definitions, rows):
    """The rows of a rollout with all that the definitions say; ``whiten`` is of all their tokens."""
    rows = [dict(row) for row in rows]
    for name, expression in definitions:
        tree = _Whitened(rows).visit(ast.parse(expression, mode="eval").body)
        for row in rows:
            row[name] = np.where(row["mask"], _value(tree, row), 0.0)
    return rows


def value_of(expression, names):
    """One expression in names that are given."""
    return _value(ast.parse(expression, mode="eval").body, {"mask": np.ones((1, 1), bool), "K": 1, **names})


class _Whitened(ast.NodeTransformer):
    """Puts a name in the place of ``whiten(x)``, which all rows then know."""

    def __init__(self, rows):
        self.rows = rows

    def visit_Call(self, node):
        self.generic_visit(node)
        if node.func.id != "whiten":
            return node
        values = [_value(node.args[0], row) for row in self.rows]
        tokens = np.concatenate([v[row["mask"]] for v, row in zip(values, self.rows, strict=True)])
        for value, row in zip(values, self.rows, strict=True):
            row["whitened"] = (value - tokens.mean()) / tokens.std()
        return ast.Name("whitened")


def _value(node, row):
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return row[node.id]
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, row)
        case ast.BinOp():
            return OPERATORS[type(node.op)](_value(node.left, row), _value(node.right, row))
        case ast.Compare(ops=[op], comparators=[right]):
            return OPERATORS[type(op)](_value(node.left, row), _value(right, row))
        case ast.Call(func=ast.Name(id=name)):
            return vocabulary(row)[name](*(_value(argument, row) for argument in node.args))
    raise SyntaxError(ast.dump(node))


def _total(node, rows, totals):
    """The last definition runs over the whole step: ``sum_b`` over its rows, totals by name."""
    match node:
        case ast.Call(func=ast.Name(id="sum_b")):
            return sum(_value(node.args[0], row) for row in rows)
        case ast.Call(func=ast.Name(id="sum_d")):
            return sum(_value(node.args[0], row) for row in totals[""])
        case ast.Call(func=ast.Name(id="log")):
            return np.log(_total(node.args[0], rows, totals))
        case ast.UnaryOp(op=ast.USub()):
            return -_total(node.operand, rows, totals)
        case ast.BinOp():
            return OPERATORS[type(node.op)](_total(node.left, rows, totals), _total(node.right, rows, totals))
    return _value(node, totals)
