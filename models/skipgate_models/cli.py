from skipgate_models import digits
def main(): digits.write(digits.FOLDER)
