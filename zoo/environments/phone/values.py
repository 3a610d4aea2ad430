"""The words and numbers that phones and tasks are made of."""

__all__ = [
    "ALARM_LABELS",
    "ALARM_TIMES",
    "BATTERY_LEVELS",
    "DEVICE_NAMES",
    "NAMES",
    "PHONES",
    "STORAGES",
    "TEXTS",
    "is_held_out",
]

NAMES = (
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Felix",
    "Grace",
    "Hugo",
    "Iris",
    "Jonas",
    "Karim",
    "Lena",
    "Marta",
    "Nora",
    "Omar",
    "Paula",
    "Quinn",
    "Rosa",
    "Samir",
    "Tara",
    "Uma",
    "Victor",
    "Wanda",
    "Yusuf",
)
PHONES = tuple(f"555-01{number:02}" for number in range(10, 58))
"""Numbers that tasks name. Everybody else's begin with 555-02 to 555-09, so that no answer is right by accident."""

DEVICE_NAMES = (
    "Comet",
    "Falcon",
    "Maple",
    "Nimbus",
    "Orchid",
    "Pebble",
    "Raven",
    "Saturn",
    "Willow",
    "Zephyr",
    "Ember",
    "Lotus",
)
BATTERY_LEVELS = tuple(f"{percent}%" for percent in range(5, 100))
STORAGES = tuple(f"{gigabytes} GB" for gigabytes in range(3, 120))

ALARM_TIMES = tuple(f"{hour:02}:{minute:02}" for hour in range(5, 23) for minute in (0, 15, 30, 45))
ALARM_LABELS = (
    "Gym",
    "Work",
    "School",
    "Yoga",
    "Medicine",
    "Breakfast",
    "Meeting",
    "Walk",
    "Class",
    "Laundry",
    "Dinner",
    "Swim",
)

TEXTS = (
    "Running late",
    "See you at noon",
    "Happy birthday",
    "Call me back",
    "Dinner is ready",
    "On my way",
    "Good luck today",
    "Bring some milk",
    "I am at the station",
    "The meeting is moved",
    "Thanks for the book",
    "Where are you?",
    "Meet me at the park",
    "Do not forget the keys",
    "Tickets are booked",
    "Sleep well",
)


def is_held_out(position: int) -> bool:
    """Whether the value at this position of its list is kept out of training: every fourth is."""
    return position % 4 == 3
