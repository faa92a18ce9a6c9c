"""Services, exactly as the API server answers: create, replace, patch, delete, one object and in batch."""
