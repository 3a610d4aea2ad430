"""The stages that train: TRL's trainers, loaded, watched, resumed and saved in one way."""
