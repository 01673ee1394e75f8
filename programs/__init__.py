"""The modes, the baselines, the communities, and what LM calls they are made of; `engines` runs LMs in this process."""
