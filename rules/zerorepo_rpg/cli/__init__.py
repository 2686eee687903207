"""Commands of this rule set: what a person sees of plans, graphs and specifications."""
