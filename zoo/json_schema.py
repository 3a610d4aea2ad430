"""The JSON Schema of a recipe, so that editors complete keys and show what they mean."""

from typing import Any

from zoo import registry
from zoo.schema import Recipe

__all__ = ["recipe_schema"]


def recipe_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a whole recipe file; a stage's settings depend on its `kind`."""
    schema = Recipe.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    kinds = []
    for kind, entry in registry.STAGES.items():
        stage = registry.load(entry.spec).model_json_schema()
        definitions.update(stage.pop("$defs", {}))
        # A recipe must say the kind; the class itself fills it in.
        stage["required"] = ["kind", *stage.get("required", [])]
        definitions[kind] = stage
        kinds.append({"$ref": f"#/$defs/{kind}"})
    definitions.pop("StageSpec", None)
    schema["properties"]["stages"] = {
        "type": "object",
        "description": "Name -> stage. The order is free: a stage runs after those that it reads.",
        "propertyNames": {"pattern": Recipe.STAGE_NAME},
        "additionalProperties": {"oneOf": kinds},
    }
    schema["properties"]["extends"] = {"type": "string", "description": "Another recipe, which this one is laid over."}
    # A recipe that extends another may leave out whatever the other says.
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "edgezoo recipe", **schema}
