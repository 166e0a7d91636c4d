"""What is behind `MistralImageGenerationTool`: its arguments, the images it may edit, and what the model reads."""
