"""One question in each mode, on the LM and the communities that come along."""

from modplural import Distributional, Overton, Steerable, open_pool

base, pool = open_pool("default")
question = "Should a village close its streets to cars on Sundays?"
print(Overton(base, pool)(question).response)
print(Steerable(base, pool)(question, attribute="liberty").response)
print(Distributional(base, pool)(question, options=["Yes", "No"]).probabilities)
