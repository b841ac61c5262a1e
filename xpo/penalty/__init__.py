"""Where the divergence of axis 10 acts on-policy: inside the reward, or in the loss."""
