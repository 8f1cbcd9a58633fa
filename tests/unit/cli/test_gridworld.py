"""The grid world and its learner are what the textbook says they are."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rigorous_recorder.cli.gridworld import (
    ACTIONS,
    GOAL_REWARD,
    MAX_TIMESTEPS,
    STEP_REWARD,
    GridWorld,
    QLearner,
    Timestep,
    decayed_epsilon,
    run_episode,
)

SMALL = """
S.#
..G
"""


def learn(learner: QLearner, world: GridWorld, episodes: int) -> list[list[Timestep]]:
    numbers = range(1, episodes + 1)
    return [list(run_episode(world, learner, decayed_epsilon(number))) for number in numbers]


def test_an_action_moves_to_the_next_cell_and_costs() -> None:
    """A move inside the grid leads to the neighbouring cell, at the cost of a step."""
    world = GridWorld(SMALL)
    assert world.start == 0
    assert world.step(0, "right") == (1, STEP_REWARD, False)
    assert world.step(0, "down") == (3, STEP_REWARD, False)
    assert world.step(4, "up") == (1, STEP_REWARD, False)
    assert world.step(4, "left") == (3, STEP_REWARD, False)


@pytest.mark.parametrize(
    ("state", "action"), [(0, "up"), (0, "left"), (3, "down"), (1, "right"), (3, "left")]
)
def test_walls_and_edges_stop_the_agent(state: int, action: str) -> None:
    """A move into a wall, or off the grid, leaves the agent where it is, at the same cost."""
    assert GridWorld(SMALL).step(state, action) == (state, STEP_REWARD, False)


def test_the_goal_rewards_and_ends_the_episode() -> None:
    """The move onto the goal brings the reward and terminates."""
    world = GridWorld(SMALL)
    assert world.step(4, "right") == (world.goal, GOAL_REWARD, True)


def test_the_learner_follows_the_rule_of_q_learning() -> None:
    """An update moves the value by learning rate times TD error, as the rule says."""
    learner = QLearner(2, learning_rate=0.5, seed=0, discount=0.9)
    learner.values[1]["up"] = 10.0
    assert learner.update(0, "left", -1.0, 1) == pytest.approx(-1.0 + 0.9 * 10.0)
    assert learner.values[0]["left"] == pytest.approx(0.5 * 8.0)


def test_nothing_is_expected_after_the_end_of_an_episode() -> None:
    """The update for a terminal step looks at the reward alone."""
    learner = QLearner(1, learning_rate=1.0, seed=0)
    assert learner.update(0, "up", 50.0, None) == 50.0
    assert learner.values[0]["up"] == 50.0


def test_without_exploration_the_best_action_is_chosen() -> None:
    """With epsilon 0 the action of the highest value is taken, always."""
    learner = QLearner(1, learning_rate=0.5, seed=0)
    learner.values[0]["down"] = 1.0
    assert {learner.choose(0, 0.0) for _ in range(50)} == {"down"}


def test_ties_and_exploration_try_every_action() -> None:
    """Equal values, or epsilon 1, lead to each of the actions."""
    learner = QLearner(1, learning_rate=0.5, seed=0)
    assert {learner.choose(0, 0.0) for _ in range(200)} == set(ACTIONS)
    learner.values[0]["down"] = 1.0
    assert {learner.choose(0, 1.0) for _ in range(200)} == set(ACTIONS)


def test_exploration_decays() -> None:
    """Each episode explores less than the one before it."""
    epsilons = [decayed_epsilon(number) for number in range(1, 11)]
    assert epsilons == sorted(epsilons, reverse=True)
    assert 0 < epsilons[-1] < epsilons[0] < 1


def test_an_episode_ends_at_the_goal_or_after_its_timesteps() -> None:
    """The timesteps are numbered from 1, and the last is the goal's or number 200."""
    world = GridWorld()
    for episode in learn(QLearner(world.states, 0.7, seed=1), world, 10):
        assert [step.timestep for step in episode] == list(range(1, len(episode) + 1))
        assert [step.reward for step in episode[:-1]] == [STEP_REWARD] * (len(episode) - 1)
        assert episode[-1].reward == GOAL_REWARD or len(episode) == MAX_TIMESTEPS


def test_the_states_of_an_episode_follow_from_its_actions() -> None:
    """Each logged state is where the logged action of the timestep before led to."""
    world = GridWorld()
    episode = next(iter(learn(QLearner(world.states, 0.7, seed=1), world, 1)))
    assert episode[0].state == world.start
    for step, following in pairwise(episode):
        assert world.step(step.state, step.action)[0] == following.state


def test_the_same_seed_gives_the_same_episodes() -> None:
    """A run is reproducible from its seed, and another seed is another run."""
    world = GridWorld()
    runs = [learn(QLearner(world.states, 0.7, seed), world, 3) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("seed", range(1, 11))
def test_ten_episodes_are_enough_to_learn_the_way(seed: int) -> None:
    """The last three episodes together earn more than the first three did, by far."""
    world = GridWorld()
    totals = [
        sum(step.reward for step in episode)
        for episode in learn(QLearner(world.states, 0.7, seed), world, 10)
    ]
    assert sum(totals[-3:]) > sum(totals[:3]) + 100


def test_with_time_the_shortest_way_is_found() -> None:
    """After many episodes the greedy agent walks to the goal without a detour."""
    world = GridWorld(SMALL)
    learner = QLearner(world.states, 0.5, seed=0)
    learn(learner, world, 50)
    assert len(list(run_episode(world, learner, 0.0))) == 3
