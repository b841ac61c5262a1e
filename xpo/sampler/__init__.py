"""How responses are drawn from a policy: engines behind one contract (``xpo.sampler.base``)."""
