"""Tales: stories from a world model with memory, and stories to order.

A tale is a plot (`plots/*.txt`) or a wish (`wishes.py`), played by a cast that keeps its names,
kinds and pronouns (`casting.py`), with an opening and an ending that suit it, and perhaps a second
thread that runs through it (`threads.txt`). `world.py` tracks who has what and who is where: the
plots state it, and a plot in which somebody uses what they do not have is refused. `orders.py`
draws what users ask for, and `talk.py` the conversations about it. `story_judge.py`, beside this
package, judges the stories that a model tells to order.
"""
