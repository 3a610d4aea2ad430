"""The words and numbers that phones and tasks are made of."""

__all__ = [
    "ALARM_LABELS",
    "ALARM_TIMES",
    "AMOUNTS",
    "ARTISTS",
    "AUTHORS",
    "BATTERY_LEVELS",
    "BOOKS",
    "DAYS",
    "DEVICE_NAMES",
    "EVENTS",
    "NAMES",
    "PAGES",
    "PASSCODES",
    "PHONES",
    "PLAYLISTS",
    "SONGS",
    "SPOTS",
    "STORAGES",
    "STREETS",
    "TEXTS",
    "TOPICS",
    "TRANSACTIONS",
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

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

EVENTS = (
    "Dentist",
    "Book club",
    "Haircut",
    "Piano lesson",
    "Car service",
    "Team lunch",
    "Football",
    "Parents evening",
    "Eye test",
    "Choir",
    "Flat viewing",
    "Garden party",
    "Chess night",
    "Vet visit",
    "Cooking class",
    "Job interview",
)

TRANSACTIONS = (
    "Bakery",
    "Train ticket",
    "Pharmacy",
    "Electricity",
    "Cinema",
    "Shoes",
    "Internet",
    "Taxi",
    "Vegetables",
    "Concert",
    "Water bill",
    "Winter coat",
    "Parking",
    "Pizza",
    "Museum",
    "Bus pass",
)
AMOUNTS = tuple(f"{euros}.{(50, 75, 20)[euros % 3]}" for euros in range(6, 94, 4))

SPOTS = {
    "Cafe": ("Blue Cup", "Corner Bean", "Old Mill"),
    "Museum": ("City Museum", "Harbour Museum"),
    "Park": ("Lime Park", "River Garden"),
    "Pharmacy": ("Sun Pharmacy", "Green Cross"),
    "Station": ("North Station", "Port Station"),
    "Supermarket": ("Fresh Market", "Corner Shop", "Daily Goods"),
}
"""Kind of place -> the places of the town."""
STREETS = ("Oak Street", "Mill Lane", "Station Road", "Park Avenue", "Harbour Way", "King Street", "Bridge Road")

BOOKS = (
    "The Lighthouse",
    "Winter Fields",
    "A Quiet Engine",
    "Seven Rivers",
    "The Glass Ladder",
    "Salt and Stone",
    "Letters from Oslo",
    "The Last Orchard",
    "Paper Moons",
    "Northern Rail",
    "The Clockmaker",
    "Small Islands",
)
AUTHORS = ("I. Marsh", "P. Lund", "R. Okafor", "M. Silva", "T. Berger", "A. Novak", "J. Hale", "S. Ito")
PAGES = tuple(str(page) for page in range(20, 180, 7))

SONGS = (
    "Amber Light",
    "Broken Compass",
    "Cold Harbour",
    "Daybreak",
    "Echo Lake",
    "Falling Slowly North",
    "Golden Hour",
    "High Tide",
    "Ivory Road",
    "June Rain",
    "Kites",
    "Long Way Back",
)
ARTISTS = ("Nova Grey", "The Pines", "Ada Wells", "Low Sun", "Marble Hall", "Red Canoe")
PLAYLISTS = ("Morning run", "Focus", "Road trip", "Party", "Rainy day", "Cooking", "Sleep", "Workout")

TOPICS = (
    "Weekly sync",
    "Design review",
    "Budget talk",
    "Sales call",
    "Retrospective",
    "Project kickoff",
    "Team lunch plan",
    "Hiring panel",
    "Roadmap",
    "Training",
    "Board update",
    "Bug triage",
)
PASSCODES = tuple(str(code) for code in range(1203, 9800, 373))


def is_held_out(position: int) -> bool:
    """Whether the value at this position of its list is kept out of training: every fourth is."""
    return position % 4 == 3
