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


def vocabulary(row):
    return {
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


def evaluate(text, rows, totals):
    """The number that the last definition of ``text`` says. ``rows``: one dictionary per row."""
    rows = [dict(row) for row in rows]
    *definitions, last = [line.split(" = ", 1) for line in text.splitlines()]
    for name, expression in definitions:
        tree = ast.parse(expression.strip(), mode="eval").body
        for row in rows:
            row[name.strip()] = _value(tree, row)
    assert last[0].strip() == "loss"
    return float(_total(ast.parse(last[1].strip(), mode="eval").body, rows, totals))


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
        case ast.Call(func=ast.Name(id="log")):
            return np.log(_total(node.args[0], rows, totals))
        case ast.UnaryOp(op=ast.USub()):
            return -_total(node.operand, rows, totals)
        case ast.BinOp():
            return OPERATORS[type(node.op)](_total(node.left, rows, totals), _total(node.right, rows, totals))
    return _value(node, totals)
